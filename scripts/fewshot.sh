#!/usr/bin/env bash
# Train and test on all classes with 1, 2, 4, 8 and 16 shots, or with SHOTS....
# usage: bash scripts/fewshot.sh METHOD SEED [DATASET] [SHOTS ...] [KEY VALUE ...]
# METHOD is one of `multimode-ot methods`, or of a file of your own with --method-file FILE. The
# environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" fewshot "$@"
