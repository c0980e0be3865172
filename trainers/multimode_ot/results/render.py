"""A grid as text: the formats of a table, its notes, and published rows beside it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

from . import published
from .grid import Cell, Column, Grid, PairedDifference
from .tree import AVERAGE, CHOSEN_ON_TEST

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
