#!/usr/bin/env bash
# Test prompts of base2new_train.sh on the new classes.
# usage: bash scripts/base2new_test.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is a folder of configs/trainers; the environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" base2new_test "$@"
