#!/usr/bin/env bash
# Run what is missing of a whole comparison, and print and write its table.
# usage: [METHODS="ZeroshotCLIP CoOp ALIGN"] [SEEDS="1 2 3"] [SHOTS=16] [PROTOCOL=base2new] \
#        [JOBS=1] bash scripts/compare.sh [DATASET ...] [KEY VALUE ...]
# JOBS: runs at the same time. With no DATASET: the embedded demo. METHODS may have regularisers
# (CoOp+weight_average), and methods
# of files of your own with --method-file FILE. The environment is described in protocol.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" compare "$@"
