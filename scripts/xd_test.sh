#!/usr/bin/env bash
# Test prompts of xd_train.sh on DATASET, or on all ten targets (SOURCE=imagenet).
# usage: bash scripts/xd_test.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" xd_test "$@"
