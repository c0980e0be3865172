"""The table that compares methods, from the `results.json` files below a folder.

python -m multimode_ot.compare OUTPUT [--protocol base2new] [--format markdown]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from . import published
from .comparability import require_comparable, require_one_training
from .errors import Parser, one_line_errors
from .grid import Cell, Column, Grid, PairedDifference, paired_differences
from .protocol_tables import MAKERS, make_grid, rows_of
from .result_tree import AVERAGE, CHOSEN_ON_TEST, DOMAINS, choose, collect

MARKS = {  # best and second of a column, where a format can show it
    "markdown": ("**{}**", "<u>{}</u>"),
    "latex": (r"\textbf{{{}}}", r"\underline{{{}}}"),
    "table": ("{}", "{}"),
}
MISSING = "missing"
# What would be read as markup in names.
SPECIAL = {"latex": r"[&%$#_{}]", "markdown": r"[|]"}


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
    note = f"{grid.note}\npublished rows: {source}"
    return Grid(grid.methods + rows, columns, cells, note, frozenset(rows))


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
    measured = [m for m in grid.methods if m not in grid.published]
    ranked = [m for m in measured if not m.endswith(CHOSEN_ON_TEST)]
    usual = max((len(grid.cell(m, c).by_seed) for m in measured for c in grid.columns), default=0)
    rows = [[_plain(method, style)] for method in grid.methods]
    for column in grid.columns:
        shown = {grid.cell(m, column).text for m in ranked if grid.cell(m, column).by_seed}
        best = sorted(shown, key=float, reverse=True)
        for row, method in zip(rows, grid.methods, strict=True):
            cell = grid.cell(method, column)
            own = method not in grid.published
            text = _cell_text(cell, interval, usual) if own else _published_text(cell)
            for mark, value in zip(MARKS[style], best, strict=False):
                if method in ranked and cell.by_seed and cell.text == value:
                    text = mark.format(text)
            row.append(text)
    headers = ["method", *(_plain(f"{c.dataset} {c.metric}", style) for c in grid.columns)]
    kind = {"table": "simple", "markdown": "github", "latex": "latex_raw"}[style]
    text = tabulate(rows, headers, tablefmt=kind, disable_numparse=True)
    lines = [f"{line}." for line in (*grid.note.splitlines(), _spread_note(usual, interval))]
    return f"{text}\n\n{_below(lines, style)}".replace("±", r"$\pm$" if style == "latex" else "±")


def _below(lines: Iterable[str], style: str) -> str:
    """What follows a table; comments in LaTeX."""
    return "\n".join(f"% {line}" if style == "latex" else line for line in lines)


def _spread_note(usual: int, interval: str) -> str:
    if usual < 2:
        return "one run a cell"
    spread = {
        "std": "standard deviation (of the population)",
        "ci95": "half the 95% interval (Student's t)",
    }
    return f"mean over {usual} seeds, or as many as (n=...) says, ± {spread[interval]}"


def _plain(text: str, style: str) -> str:
    return re.sub(SPECIAL[style], r"\\\g<0>", text) if style in SPECIAL else text


def _cell_text(cell: Cell, interval: str, usual: int) -> str:
    if not cell.by_seed:
        return MISSING
    count, spread = len(cell.by_seed), cell.spread(interval)
    text = cell.text
    if count > 1 and not math.isnan(spread):
        text += f" ± {spread:.2f}"
    return text if count == usual else f"{text} (n={count})"


def _published_text(cell: Cell) -> str:
    return cell.text if cell.by_seed else ""


def _records(grid: Grid, interval: str) -> list[dict]:
    """One a cell; of what was not measured here, neither seeds nor spread are known."""
    records = []
    for method in grid.methods:
        for column in grid.columns:
            cell, own = grid.cell(method, column), method not in grid.published
            record: dict[str, Any] = {
                "method": method,
                "dataset": column.dataset,
                "metric": column.metric,
            }
            record["mean"] = _or_none(cell.mean)
            record[interval] = _or_none(cell.spread(interval)) if own else None
            record["seeds"] = len(cell.by_seed) if own else None
            record["by_seed"] = dict(cell.by_seed) if own else {}
            records.append(record)
    return records


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _json(grid: Grid, interval: str) -> str:
    return json.dumps({"note": grid.note, "cells": _records(grid, interval)}, indent=2)


def _csv(grid: Grid, interval: str) -> str:
    stream = io.StringIO()
    names = ["method", "dataset", "metric", "mean", interval, "seeds"]
    writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(grid, interval))
    return stream.getvalue().rstrip("\n")


def with_differences(
    text: str, style: str, names: Sequence[str], found: Sequence[PairedDifference]
) -> str:
    """A rendered grid with the paired differences of two methods.

    Raises:
        ValueError: the style is `csv`, which has no place for them.
    """
    first, second = names
    if style == "csv":
        raise ValueError("--paired has no place in --format csv: take json")
    if style == "json":
        pairs = [{"first": first, "second": second} | d._asdict() for d in found]
        return json.dumps(json.loads(text) | {"paired": pairs}, indent=2)
    lines = [
        f"{first} - {second}, {d.metric}: {d.mean:+.2f} points, 95% bootstrap interval "
        f"[{d.low:+.2f}, {d.high:+.2f}], {d.pairs} pairs"
        for d in found
    ]
    return f"{text}\n\n{_below(lines, style)}"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    parser = Parser(
        prog="python -m multimode_ot.compare", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("output", type=Path, help="folder of runs; a narrower one restricts the table")
    add("--protocol", choices=MAKERS, default="base2new")
    add("--format", choices=[*MARKS, "csv", "json"], default="table")
    add("--interval", choices=["std", "ci95"], default="std")
    add("--methods", nargs="+", default=[], help="only these, in this order")
    add("--datasets", nargs="+", default=[], help="only these (DATASET.NAME)")
    add("--seeds", nargs="+", type=int, default=[], help="only these")
    add("--shots", nargs="+", type=int, default=[], help="only training with so many (0: all)")
    add("--source", help="of transfers only those from this data set (imagenet, ...)")
    add("--paired", nargs=2, metavar="METHOD", help="compare two methods run by run")
    add("--published", action="store_true", help="add published averages as reference rows")
    add("--mix", action="store_true", help="allow different configurations in one table")
    return parser.parse_args(arguments)


def table(arguments: Sequence[str] | None = None, known_datasets: Iterable[str] = ()) -> str:
    """The command's output for its arguments.

    Args:
        known_datasets: names (DATASET.NAME) that may be asked for although no run has them,
            besides those of published tables; their cells are missing.

    Raises:
        ValueError, OSError: wrong arguments, no results, unreadable ones, two for one cell, or
            mixed configurations.
    """
    args = parse_arguments(arguments)
    usual = DOMAINS if args.protocol == "domain" else set(published.PLOTPP) - {AVERAGE}
    results = choose(
        collect(args.output, args.protocol),
        args.methods,
        args.datasets,
        args.seeds,
        args.shots,
        args.source,
        {*usual, *known_datasets},
    )
    if not results:
        raise ValueError(f"no result below {args.output} is left by the options that choose some")
    if not args.mix:
        require_comparable(results)
    require_one_training(results, args.protocol, by_method=args.mix)
    grid = make_grid(results, args.protocol, args.datasets)
    if args.methods:
        grid = replace(grid, methods=rows_of(args.methods, grid))
    shown = with_published(grid, args.protocol) if args.published else grid
    text = render(shown, args.format, args.interval)
    if args.paired:
        found = paired_differences(grid, *args.paired)
        text = with_differences(text, args.format, args.paired, found)
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; ends with one line and status 2 where something is wrong."""
    with one_line_errors():
        print(table(arguments))


if __name__ == "__main__":
    main()
