#!/usr/bin/env bash
# Every figure of docs/performance.md, into benchmarks/results.txt, growth.{csv,md,png}.
# About 45 minutes on two quiet cores; the reference needs 14 GB at 100 classes. For the plot:
# pip install matplotlib
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python}
export PYTHONWARNINGS=ignore

bench() {
    echo
    echo "\$ python $*"
    "$python" "$@"
}

{
    grep -m 1 'model name' /proc/cpuinfo
    uptime
    bench solver.py
    bench step.py --classes 10
    bench step.py --classes 50
    bench step.py --classes 100
    bench step.py --classes 50 --precision bf16
    bench step.py --classes 50 --precision bf16 --reference-precision fp32
    bench step.py --classes 50 --eval
    bench step.py --classes 100 --eval
    bench step.py --classes 500 --only ours --runs 3
    bench step.py --classes 1000 --only ours --runs 3 --memory-mb 1024
    uptime
} 2>&1 | tee results.txt
bench growth.py
