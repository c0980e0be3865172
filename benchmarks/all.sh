#!/usr/bin/env bash
# Every figure of docs/performance.md, into benchmarks/results.txt, packed_text.txt and
# growth.{csv,md,png}. Over an hour on two quiet cores; the reference needs 14 GB at 100 classes. For the plot:
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
{
    grep -m 1 'model name' /proc/cpuinfo
    for names in --numbered ''; do
        bench packed_text.py CoOp --classes 1000 $names --runs 2
        [ -n "$names" ] || bench packed_text.py CoOp MEMORY_MB 512 --classes 1000 --runs 2
        bench packed_text.py MaPLe --classes 1000 $names
        bench packed_text.py IVLP --classes 1000 $names
        bench packed_text.py CoCoOp N_CTX 4 --classes 200 $names --batch 1 --runs 5
    done
    for few in '50 --runs 7' '3 --text-only --runs 41'; do
        for method in CoOp MaPLe IVLP 'CoCoOp N_CTX 4 --batch 1' PLOT; do
            bench packed_text.py $method --classes $few
        done
    done
} 2>&1 | tee packed_text.txt
bench growth.py
