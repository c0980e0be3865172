"""How time and memory of ours grow: tables and a plot, from one command.

    pip install matplotlib
    python benchmarks/growth.py

Around one point (50 classes, batch 4, four modes of two tokens, float32), one size is varied at a
time. Writes growth.csv, growth.md and growth.png beside this file. Each point is a process of its
own: the median time of a training step (forward, loss, backward), its peak memory, and evaluated
images per second, class features spread over 100 images.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
from argparse import Namespace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from measure import in_subprocess, peak_bytes
from step import build, timed
from workload import images_and_labels

HERE = Path(__file__).parent
BASE = {"classes": 50, "modes": 4, "tokens": 2, "batch": 4}
SERIES = {
    "classes": (10, 20, 50, 100, 200, 500, 1000),
    "modes": (1, 2, 4, 8),
    "tokens": (1, 2, 4, 8),
    "batch": (1, 2, 4, 8, 16),
}
WARM_UP = 2  # steps after the first one, in which the system gives the process its memory
COLUMNS = ("varied", *BASE, "step_seconds", "peak_mib", "images_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(args.point, args.runs)))
        return
    known: dict[tuple, dict] = {}
    rows = []
    for varied, values in SERIES.items():
        for value in values:
            point = BASE | {varied: value}
            key = tuple(point.values())
            if key not in known:
                arguments = ("--runs", args.runs, "--point", json.dumps(point))
                known[key] = in_subprocess(__file__, *arguments)
            rows.append({"varied": varied} | point | known[key])
            print(rows[-1], flush=True)
    with (HERE / "growth.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "growth.md").write_text(as_markdown(rows, args.runs), encoding="utf-8")
    plot(rows)


def measure(point: dict[str, int], runs: int) -> dict[str, float]:
    args = Namespace(
        **point,
        precision="fp32",
        reference_precision=None,
        head="paper",
        memory_mb=None,
        eval=False,
    )
    images, labels = images_and_labels(point["batch"], point["classes"])
    model = build(args, ("ours",))["ours"]
    step = timed(args, model, images, labels)
    peak = peak_bytes(step)
    for _ in range(WARM_UP):
        step()
    step_seconds = statistics.median(step() for _ in range(runs))
    model.eval()
    evaluate = timed(Namespace(**vars(args) | {"eval": True}), model, images, labels)
    evaluate()
    evaluation = statistics.median(evaluate() for _ in range(runs))
    return {
        "step_seconds": round(step_seconds, 3),
        "peak_mib": round(peak / 2**20),
        "images_per_second": round(point["batch"] / evaluation, 2),
    }


def as_markdown(rows: list[dict], runs: int) -> str:
    lines = [
        "# Growth of a training step and of evaluation",
        "",
        f"ViT-B/16 shapes, float32, {processor()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, medians of {runs} after {WARM_UP + 1} steps. Made by `python "
        f"benchmarks/growth.py --runs {runs}`. Sizes that are not varied: "
        + ", ".join(f"{value} {name}" for name, value in BASE.items())
        + ".",
        "",
    ]
    for varied in SERIES:
        lines += [
            f"| {varied} | step (s) | peak memory (MiB) | evaluated images per second |",
            "|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {r[varied]} | {r['step_seconds']:.2f} | {r['peak_mib']} "
            f"| {r['images_per_second']:.2f} |"
            for r in rows
            if r["varied"] == varied
        ]
        lines.append("")
    return "\n".join(lines)


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in names if line.startswith("model name")]
    return models[0] if models else platform.processor()


def plot(rows: list[dict]) -> None:
    measures = {
        "step_seconds": "training step (s)",
        "peak_mib": "peak memory (MiB)",
        "images_per_second": "evaluated images per second",
    }
    figure = Figure(figsize=(12, 7.5))
    axes = figure.subplots(len(measures), len(SERIES), sharex="col", sharey="row")
    for row, (measure_, label) in zip(axes, measures.items(), strict=True):
        for axis, varied in zip(row, SERIES, strict=True):
            points = [(r[varied], r[measure_]) for r in rows if r["varied"] == varied]
            axis.plot(*zip(*points, strict=True), marker="o")
            axis.grid(alpha=0.3)
        row[0].set_ylim(bottom=0)  # after all are drawn: they share the axis
        row[0].set_ylabel(label)
    for axis, varied in zip(axes[-1], SERIES, strict=True):
        axis.set_xlabel(varied)
    figure.tight_layout()
    figure.savefig(HERE / "growth.png", dpi=100)


if __name__ == "__main__":
    main()
