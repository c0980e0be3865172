#!/usr/bin/env bash
# Test prompts of xd_train.sh on DATASET, or on all ten targets (SOURCE=imagenet).
# usage: bash scripts/xd_test.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is a folder of configs/trainers; the environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" xd_test "$@"
