"""A grid of methods by columns, with a value for each seed.

Nothing is averaged away: what is made of several cells exists for a seed only if all have it.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .fields import AVERAGE

if TYPE_CHECKING:
    from .published import PublishedRow


class Column(NamedTuple):
    """A column of a table: its data set, its heading below that, and the key of results.json that
    it has instead of accuracies, if any."""

    dataset: str
    metric: str
    measure: str = ""

    @property
    def heading(self) -> str:
        if not self.measure:
            return self.metric
        return f"{self.metric.removesuffix('accuracy').strip()} {self.measure}".strip()


@dataclass(frozen=True)
class Cell:
    """One value a seed, in per cent.

    Attributes:
        every_seed: the only value holds for every seed, as that of a zero-shot method does.
        untrained_classes: some of the classes are others than those that the method has parameters
            for, and are classified by its frozen text side.
    """

    by_seed: Mapping[int, float] = field(default_factory=dict)
    every_seed: bool = False
    untrained_classes: bool = False

    @property
    def mean(self) -> float:
        """NaN if there is no run."""
        return statistics.fmean(self.by_seed.values()) if self.by_seed else math.nan

    def text(self, digits: int = 2) -> str:
        """The mean as tables show it, with so many decimals."""
        return f"{self.mean:.{digits}f}"

    def at(self, seed: int) -> float:
        """The value that holds for a seed; `KeyError` if there is none."""
        return next(iter(self.by_seed.values())) if self.every_seed else self.by_seed[seed]

    def spread(self, interval: str) -> float:
        """`std`: population standard deviation, as the ecosystem's parser prints it; `ci95`: half
        the 95% interval of the mean by Student's t. NaN where it is not defined."""
        values = list(self.by_seed.values())
        if interval == "std":
            return statistics.pstdev(values) if values else math.nan
        if len(values) < 2:
            return math.nan
        return student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t with so many degrees of freedom."""
    from scipy.stats import t  # which takes longer to import than a table to make

    return float(t.ppf(0.975, freedom))


def combine(parts: Sequence[Cell], function: Callable[[list[float]], float]) -> Cell:
    """`function` of the parts' values, for each seed that all parts have.

    A part that holds for every seed stands beside each seed of the others.
    """
    if not parts or not all(part.by_seed for part in parts):
        return Cell()
    varying = [set(part.by_seed) for part in parts if not part.every_seed]
    seeds = set.intersection(*varying) if varying else {min(min(p.by_seed) for p in parts)}
    values = {seed: function([part.at(seed) for part in parts]) for seed in sorted(seeds)}
    marked = any(part.untrained_classes for part in parts)
    return Cell(values, every_seed=not varying, untrained_classes=marked)


@dataclass(frozen=True)
class Grid:
    """Methods by columns.

    Attributes:
        note: how the numbers were made; a line a matter.
        published: those of `methods` whose numbers were not measured here, and what is known of
            them.
    """

    methods: list[str]
    columns: list[Column]
    cells: dict[tuple[str, Column], Cell]
    note: str
    published: Mapping[str, PublishedRow] = field(default_factory=dict)

    @property
    def measured(self) -> list[str]:
        """The rows of runs."""
        return [method for method in self.methods if method not in self.published]

    def datasets(self, metric: str) -> list[str]:
        """The data sets with accuracies of a metric, without their average."""
        columns = [c for c in self.columns if c.metric == metric and not c.measure]
        return [c.dataset for c in columns if c.dataset != AVERAGE]

    def cell(self, method: str, column: Column) -> Cell:
        return self.cells.get((method, column), Cell())


class PairedDifference(NamedTuple):
    """`first - second`, in percentage points."""

    metric: str
    mean: float
    low: float
    high: float
    pairs: int


def paired_differences(
    grid: Grid, first: str, second: str, resamples: int = 10_000
) -> list[PairedDifference]:
    """Differences of two methods over data sets and seeds, with a 95% bootstrap interval.

    A result that holds for every seed is paired with each seed of the other method. Pairs are
    resampled with replacement; the percentile interval comes from a fixed seed.

    Raises:
        ValueError: a method that is not in the table, or no common run.
    """
    for name in (first, second):
        if name not in grid.methods:
            raise ValueError(f"{name!r} is not in the table: it has {', '.join(grid.methods)}")
    found = []
    for metric in dict.fromkeys(c.metric for c in grid.columns):
        differences: list[float] = []
        for column in grid.columns:
            if column.metric == metric and column.dataset != AVERAGE:
                pair = [grid.cell(method, column) for method in (first, second)]
                differences += combine(pair, lambda values: values[0] - values[1]).by_seed.values()
        if not differences:
            continue
        draw = random.Random(0)
        means = sorted(
            statistics.fmean(draw.choices(differences, k=len(differences)))
            for _ in range(resamples)
        )
        low, high = means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]
        mean = statistics.fmean(differences)
        found.append(PairedDifference(metric, mean, low, high, len(differences)))
    if not found:
        raise ValueError(f"{first} and {second} have no data set and seed in common")
    return found
