#!/usr/bin/env bash
# Test prompts of xd_train.sh on DATASET, or on the four ImageNet variants.
# usage: bash scripts/dg_test.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" dg_test "$@"
