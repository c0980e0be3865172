#!/usr/bin/env bash
# Test prompts of base2new_train.sh on the new classes.
# usage: bash scripts/base2new_test.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" base2new_test "$@"
