"""The numbers of a grid as charts have them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..grid import Cell, Column, Grid
from ..render import column_texts


def numbers(grid: Grid, columns: Sequence[Column], interval: str) -> list[list[str]]:
    """What a table shows of some columns, a row a method."""
    texts = [column_texts(grid, column, interval)[0] for column in columns]
    return [[method, *(text[method] for text in texts)] for method in grid.methods]


def spread_of(cell: Cell, interval: str) -> float:
    """0 where there is none to show."""
    spread = cell.spread(interval)
    return 0.0 if math.isnan(spread) or len(cell.by_seed) < 2 else spread


def best_of(grid: Grid, column: Column) -> str:
    """A sentence on the first method of a column; "" where there is none."""
    texts, ranked = column_texts(grid, column, "std")
    first = [method for method, rank in ranked.items() if rank == 1]
    return f" The best {column.metric} has {first[0]} with {texts[first[0]]}." if first else ""
