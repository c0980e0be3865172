"""A grid as text: the formats of a table, and its notes."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from tabulate import tabulate

from .grid import Cell, Column, Grid
from .measures import MEASURES
from .tree import CHOSEN_ON_TEST, UNTRAINED_CLASSES

MARKS = {  # best and second of a column, where a format can show it
    "markdown": ("**{}**", "<u>{}</u>"),
    "latex": (r"\textbf{{{}}}", r"\underline{{{}}}"),
    "table": ("{}", "{}"),
}
MISSING = "missing"
ORIGIN = ("shots", "selected_on", "computed", "remark", "source")  # of a published number
KINDS = {"table": "simple", "markdown": "github", "latex": "latex_raw"}  # tabulate's names
# What would be read as markup in names.
SPECIAL = {"latex": r"[&%$#_{}]", "markdown": r"[|]"}


def render(grid: Grid, style: str, interval: str = "std") -> str:
    """The grid as text.

    Args:
        style: `table`, `markdown`, `latex`, `csv` or `json`.
        interval: `std` or `ci95`, behind the mean over seeds.
    """
    if style == "json":
        return _json(grid, interval)
    if style == "csv":
        return csv_text(csv_names(grid, interval), records(grid, interval))
    rows = [[plain(method, style)] for method in grid.methods]
    for column in grid.columns:
        texts, ranked = column_texts(grid, column, interval)
        marks = dict(zip((1, 2), MARKS[style], strict=True))
        for row, method in zip(rows, grid.methods, strict=True):
            row.append(marks.get(ranked.get(method, 0), "{}").format(texts[method]))
    headers = ["method", *(plain(f"{c.dataset} {c.heading}", style) for c in grid.columns)]
    text = tabulate(rows, headers, tablefmt=KINDS[style], disable_numparse=True)
    whole = f"{text}\n\n{below(notes(grid, interval), style)}"
    if style == "latex":
        for sign, written in {"±": r"$\pm$", UNTRAINED_CLASSES: r"$^\dagger$"}.items():
            whole = whole.replace(sign, written)
    return whole


def column_texts(
    grid: Grid, column: Column, interval: str
) -> tuple[dict[str, str], dict[str, int]]:
    """What a column shows of each method, and which methods are first (1) and second (2) in it."""
    usual, order = _usual(grid), _ranking(grid, column)[:2]
    texts, ranked = {}, {}
    for method in grid.methods:
        cell = grid.cell(method, column)
        if method in grid.published:
            texts[method] = cell.text() if cell.by_seed else ""
            continue
        texts[method] = _cell_text(cell, column, interval, usual)
        shown = cell.text(_digits(column))
        if cell.by_seed and not method.endswith(CHOSEN_ON_TEST) and shown in order:
            ranked[method] = order.index(shown) + 1
    return texts, ranked


def notes(grid: Grid, interval: str) -> list[str]:
    """The sentences below a table."""
    return [f"{line}." for line in (*grid.note.splitlines(), _spread_note(_usual(grid), interval))]


def _usual(grid: Grid) -> int:
    """The number of seeds that a cell has unless it says another."""
    return max(
        (len(grid.cell(m, c).by_seed) for m in grid.measured for c in grid.columns), default=0
    )


def _digits(column: Column) -> int:
    return MEASURES[column.measure].digits if column.measure else 2


def _ranking(grid: Grid, column: Column) -> list[str]:
    """The means of runs as the column shows them, the best first; none of a cost."""
    best = MEASURES[column.measure].best if column.measure else max
    if best is None:
        return []
    ranked = [m for m in grid.measured if not m.endswith(CHOSEN_ON_TEST)]
    cells = [grid.cell(method, column) for method in ranked]
    shown = {cell.text(_digits(column)) for cell in cells if cell.by_seed}
    return sorted(shown, key=float, reverse=best is max)


def below(lines: Iterable[str], style: str) -> str:
    """Text that follows a table; comments in LaTeX."""
    return "\n".join(f"% {line}" if style == "latex" else line for line in lines)


def _spread_note(usual: int, interval: str) -> str:
    if usual < 2:
        return "one run a cell"
    spread = {
        "std": "standard deviation (of the population)",
        "ci95": "half the 95% interval (Student's t)",
    }
    return f"mean over {usual} seeds, or as many as (n=...) says, ± {spread[interval]}"


def plain(text: str, style: str) -> str:
    """A name without what a format would read as markup."""
    return re.sub(SPECIAL[style], r"\\\g<0>", text) if style in SPECIAL else text


def _cell_text(cell: Cell, column: Column, interval: str, usual: int) -> str:
    if not cell.by_seed:
        return MISSING
    count, spread = len(cell.by_seed), cell.spread(interval)
    digits = _digits(column)
    text = cell.text(digits)
    if count > 1 and not math.isnan(spread) and not (column.measure and spread == 0):
        text += f" ± {spread:.{digits}f}"
    if _is_marked(cell, column):
        text += UNTRAINED_CLASSES
    return text if count == usual else f"{text} (n={count})"


def _is_marked(cell: Cell, column: Column) -> bool:
    """Of costs there is nothing to mark."""
    return cell.untrained_classes and (
        not column.measure or MEASURES[column.measure].best is not None
    )


def records(grid: Grid, interval: str) -> list[dict[str, Any]]:
    """One a cell; of what was not measured here, no spread is known, but where it is from."""
    records = []
    for method in grid.methods:
        for column in grid.columns:
            cell, row = grid.cell(method, column), grid.published.get(method)
            record: dict[str, Any] = {
                "method": method,
                "dataset": column.dataset,
                "metric": column.heading,
                "mean": _or_none(cell.mean),
                interval: None if row else _or_none(cell.spread(interval)),
                "seeds": None if row else len(cell.by_seed),
                "by_seed": {} if row else dict(cell.by_seed),
            }
            if _has_marks(grid):
                record["new_is_zero_shot"] = _is_marked(cell, column)
            if row:
                found = row.cells.get(column)
                record |= {"rerun_by": row.rerun_by, "backbone": row.backbone}
                record |= {key: getattr(found, key, None) for key in ORIGIN}
            records.append(record)
    return records


def _has_marks(grid: Grid) -> bool:
    return any(cell.untrained_classes for cell in grid.cells.values())


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _json(grid: Grid, interval: str) -> str:
    return json.dumps({"note": grid.note, "cells": records(grid, interval)}, indent=2)


def csv_names(grid: Grid, interval: str) -> list[str]:
    """The columns that a table has as CSV."""
    own = ["method", "dataset", "metric", "mean", interval, "seeds"]
    own += ["new_is_zero_shot"] if _has_marks(grid) else []
    return own + (["rerun_by", "backbone", *ORIGIN] if grid.published else [])


def csv_text(names: list[str], records: Iterable[dict[str, Any]]) -> str:
    """Records as CSV, of these keys; what a record lacks is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue().rstrip("\n")
