"""The table that compares methods, from the `results.json` files below a folder.

python -m multimode_ot.compare OUTPUT [--protocol base2new] [--format markdown]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from . import published
from .comparison import (
    AVERAGE,
    MAKERS,
    Cell,
    Column,
    Grid,
    collect,
    paired_differences,
    require_one_configuration,
)

MARKS = {  # best and second of a column, where a format can show it
    "markdown": ("**{}**", "<u>{}</u>"),
    "latex": (r"\textbf{{{}}}", r"\underline{{{}}}"),
    "table": ("{}", "{}"),
}
MISSING = "missing"


def with_published(grid: Grid, protocol: str) -> Grid:
    """The grid with the published averages as further rows, marked as such."""
    cells, rows, columns = dict(grid.cells), [], list(grid.columns)
    if protocol == "base2new":
        source = published.BASE_TO_NEW_SOURCE
        averages = [Column(AVERAGE, metric) for metric in ("base", "new", "H")]
        columns += [c for c in averages if c not in columns]
        for name, numbers in published.BASE_TO_NEW.items():
            rows.append(f"{name} (published)")
            for column, number in zip(averages, numbers, strict=True):
                cells[rows[-1], column] = Cell({0: number})
    elif protocol == "fewshot":
        source = published.FEW_SHOT_SOURCE
        rows.append("PLOT++ (published)")
        for dataset, accuracies in published.PLOTPP.items():
            for shots, number in zip(published.SHOTS, accuracies, strict=True):
                cells[rows[-1], Column(dataset, f"{shots} shots")] = Cell({0: number})
    else:
        raise ValueError(f"no published averages are known for the protocol {protocol!r}")
    return Grid(grid.methods + rows, columns, cells, f"{grid.note}; published rows: {source}")


def render(grid: Grid, style: str, interval: str = "std") -> str:
    """The grid as text.

    Args:
        style: `table`, `markdown`, `latex`, `csv` or `json`.
        interval: `std` or `ci95`, behind the mean over seeds.
    """
    if style == "json":
        return _json(grid, interval)
    if style == "csv":
        return _csv(grid, interval)
    measured = [m for m in grid.methods if not m.endswith("(published)")]
    seeds = {len(grid.cell(m, c).by_seed) for m in measured for c in grid.columns} - {0}
    usual = max(seeds, default=0)
    rows = [[m] for m in grid.methods]
    for column in grid.columns:
        ranked = sorted({round(grid.cell(m, column).mean, 2) for m in measured} - {math.nan})
        ranked = [value for value in ranked if not math.isnan(value)][::-1]
        for row, method in zip(rows, grid.methods, strict=True):
            cell = grid.cell(method, column)
            own = method in measured
            text = _cell_text(cell, interval, usual) if own else _published_text(cell)
            for mark, value in zip(MARKS[style], ranked, strict=False):
                if own and cell.by_seed and round(cell.mean, 2) == value:
                    text = mark.format(text)
            row.append(text)
    headers = ["method", *(f"{c.dataset} {c.metric}" for c in grid.columns)]
    kind = {"table": "simple", "markdown": "github", "latex": "latex_raw"}[style]
    text = tabulate(rows, headers, tablefmt=kind, disable_numparse=True)
    spread = "standard deviation" if interval == "std" else "95% interval (Student's t)"
    note = f"{grid.note}. Mean over {usual} seed(s) ± {spread}"
    comment = "% " if style == "latex" else ""
    text = f"{text}\n\n{comment}{note}."
    return text.replace("±", r"$\pm$") if style == "latex" else text


def _cell_text(cell: Cell, interval: str, usual: int) -> str:
    if not cell.by_seed:
        return MISSING
    count, spread = len(cell.by_seed), cell.spread(interval)
    text = f"{cell.mean:.2f}"
    if usual > 1 and count > 1 and not math.isnan(spread):
        text += f" ± {spread:.2f}"
    return text if count == usual else f"{text} (n={count})"


def _published_text(cell: Cell) -> str:
    return f"{cell.mean:.2f}" if cell.by_seed else ""


def _records(grid: Grid, interval: str) -> list[dict]:
    return [
        {
            "method": method,
            "dataset": column.dataset,
            "metric": column.metric,
            "mean": None if math.isnan(cell.mean) else cell.mean,
            interval: None if math.isnan(cell.spread(interval)) else cell.spread(interval),
            "seeds": len(cell.by_seed),
            "by_seed": dict(cell.by_seed),
        }
        for method in grid.methods
        for column in grid.columns
        for cell in [grid.cell(method, column)]
    ]


def _json(grid: Grid, interval: str) -> str:
    return json.dumps({"note": grid.note, "cells": _records(grid, interval)}, indent=2)


def _csv(grid: Grid, interval: str) -> str:
    stream = io.StringIO()
    names = ["method", "dataset", "metric", "mean", interval, "seeds"]
    writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(grid, interval))
    return stream.getvalue().rstrip("\n")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m multimode_ot.compare", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("output", type=Path, help="folder of runs; a narrower one restricts the table")
    add("--protocol", choices=MAKERS, default="base2new")
    add("--format", choices=[*MARKS, "csv", "json"], default="table")
    add("--interval", choices=["std", "ci95"], default="std")
    add("--methods", nargs="+", help="only these, in this order")
    add("--datasets", nargs="+", help="only these (DATASET.NAME)")
    add("--seeds", nargs="+", type=int, help="only these")
    add("--paired", nargs=2, metavar="METHOD", help="compare two methods run by run")
    add("--published", action="store_true", help="add published averages as reference rows")
    add("--mix", action="store_true", help="allow different configurations in one table")
    return parser.parse_args(arguments)


def table(arguments: Sequence[str] | None = None) -> str:
    """The command's output for its arguments.

    Raises:
        ValueError, OSError: no results, unreadable ones, or mixed configurations.
    """
    args = parse_arguments(arguments)
    results = collect(args.output, args.protocol)
    for key, wanted in (
        ("method", args.methods),
        ("dataset", args.datasets),
        ("seed", args.seeds),
    ):
        # Zero-shot results are the same for every seed.
        results = [
            r
            for r in results
            if not wanted or r[key] in wanted or (key == "seed" and not r["shots"])
        ]
    if not results:
        raise ValueError(f"no result below {args.output} is left by --methods, --datasets, --seeds")
    if not args.mix:
        require_one_configuration(results)
    grid = MAKERS[args.protocol](results)
    if args.methods:
        grid = Grid(args.methods, grid.columns, grid.cells, grid.note)
    parts = []
    if args.paired:
        for d in paired_differences(grid, *args.paired):
            parts.append(
                f"{args.paired[0]} - {args.paired[1]}, {d.metric}: {d.mean:+.2f} points, 95% "
                f"bootstrap interval [{d.low:+.2f}, {d.high:+.2f}], {d.pairs} pairs"
            )
    if args.published:
        grid = with_published(grid, args.protocol)
    return "\n\n".join([render(grid, args.format, args.interval), "\n".join(parts)]).rstrip()


if __name__ == "__main__":
    try:
        print(table())
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
