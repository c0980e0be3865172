#!/usr/bin/env bash
# Does the plan matter? Run what is missing of MultiModeOT's alignments, heads and betas; print and
# write their table, with what the plans say and what the answers are without them.
# usage: [BETAS="0.5 1 2"] [SEEDS="1 2 3"] [SHOTS=16] [PROTOCOL=base2new] [JOBS=1] \
#        bash scripts/ablate.sh [DATASET] [KEY VALUE ...]
# PROTOCOL: base2new or fewshot. JOBS: runs at the same time. With no DATASET: the embedded demo.
# The environment is described in ablation.py.
exec python "$(dirname "${BASH_SOURCE[0]}")/protocol.py" ablate "$@"
