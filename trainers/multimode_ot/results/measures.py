"""Columns of a table besides accuracy: time, memory, trained parameters, and other measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .fields import AVERAGE
from .grid import Cell, Column, Grid, combine
from .protocol_tables import cells_of, headings

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """How a table treats one key of results.json.

    Attributes:
        digits: decimals that are shown.
        note: what the numbers are.
        best: `max` or `min`, which a table marks; None of a cost, which is no merit by itself.
        of_both: makes one number of those of the base and the new classes; None: each has its own.
    """

    digits: int
    note: str
    best: Callable[..., float] | None = None
    of_both: Callable[[list[float]], float] | None = None


MEASURES = {
    "seconds": Measure(
        1,
        "training and test, of base to new both halves; of a transfer the test",
        of_both=math.fsum,
    ),
    "peak_memory_mb": Measure(
        0, "MB, the most held at once: by the GPU if one was in use, else the process", of_both=max
    ),
    "trained_parameters": Measure(0, "numbers that are trained", of_both=max),
    "top5": Measure(2, "per cent of images with their class among the first five", max),
    "ece": Measure(2, "expected calibration error in per cent, 15 bins; the smallest is best", min),
    "mean_class_accuracy": Measure(2, "per cent, mean over classes", max),
    "macro_f1": Measure(2, "per cent, mean over classes", max),
}


def with_measures(
    grid: Grid, protocol: str, results: Sequence[Result], measures: Sequence[str]
) -> Grid:
    """The grid with further columns behind the accuracies of each data set, and of the average.

    A result without the measure, as an older version wrote it, is no run in such a column.

    Args:
        results: what the grid is made of.
        measures: of `MEASURES`.
    """
    cells, columns = dict(grid.cells), list(grid.columns)
    for measure in dict.fromkeys(measures):
        having = [r for r in results if r.get(measure) is not None]
        cells |= cells_of(having, headings(results, protocol), measure)
        of_both = MEASURES[measure].of_both if protocol == "base2new" else None
        beside = [c for c in grid.columns if c.metric != "H"]
        added = [Column(c.dataset, "" if of_both else c.metric, measure) for c in beside]
        for column in dict.fromkeys(added):
            columns.append(column)
            for method in grid.methods:
                if of_both and column.dataset != AVERAGE:
                    halves = [Column(column.dataset, half, measure) for half in ("base", "new")]
                    parts = [cells.get((method, half), Cell()) for half in halves]
                    cells[method, column] = combine(parts, of_both)
                if column.dataset == AVERAGE:
                    parts = [
                        cells.get((method, column._replace(dataset=d)), Cell())
                        for d in grid.datasets(column.metric or "base")
                    ]
                    cells[method, column] = combine(parts, statistics.fmean)
    order = {dataset: i for i, dataset in enumerate(dict.fromkeys(c.dataset for c in columns))}
    columns.sort(key=lambda c: order[c.dataset])
    notes = [f"{measure}: {MEASURES[measure].note}" for measure in dict.fromkeys(measures)]
    return replace(grid, columns=columns, cells=cells, note="\n".join([grid.note, *notes]))
