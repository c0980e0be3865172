#!/usr/bin/env bash
# Train on the base classes, test on base and new classes, and compare with zero-shot CLIP.
# usage: bash scripts/base2new_train.sh METHOD SEED [DATASET] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" base2new_train "$@"
