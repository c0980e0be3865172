#!/usr/bin/env bash
# Train on all classes of a source data set (default: imagenet) for xd_test.sh and dg_test.sh.
# usage: bash scripts/xd_train.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" xd_train "$@"
