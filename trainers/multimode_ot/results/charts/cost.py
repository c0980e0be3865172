"""What accuracy costs: a point a method, with time or trained parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..grid import Cell, Column, Grid
from ..measures import MEASURES
from .labels import place_labels
from .numbers import best_of, numbers, spread_of
from .style import (
    PAPER,
    SERIES,
    SMALL,
    Chart,
    drawing,
    horizontal_rules,
    new_figure,
    place,
    shown_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 10  # more points than these get a number each
COSTS = {"seconds": "seconds", "trained_parameters": "trained parameters"}


def accuracy_column(grid: Grid, dataset: str) -> Column:
    """What cost is held against: H, or accuracy, with the largest number of shots."""
    columns = [c for c in grid.columns if c.dataset == dataset and not c.measure]
    return columns[-1]


def cost(grid: Grid, dataset: str, measure: str, interval: str = "std") -> Chart:
    """Accuracy against what it costs, a point a method; those that cost nothing are at 0.

    Args:
        grid: with the columns of the measure.
        measure: of `COSTS`.

    Raises:
        ValueError: no method has both.
    """
    of = accuracy_column(grid, dataset)
    spent = Column(dataset, "" if of.metric == "H" else of.metric, measure)
    points = []
    for method in grid.methods:
        both = grid.cell(method, spent), grid.cell(method, of)
        if all(cell.by_seed for cell in both):
            points.append((method, both[0].mean, both[1]))
    if not points:
        raise ValueError(f"no result on {dataset} has both {measure} and {of.metric}")
    with drawing():
        figure = _cost_figure(points, of, measure, interval)
    return Chart(
        figure,
        f"{dataset}: {of.metric} against {COSTS[measure]}",
        f"{of.metric} on {dataset} against {COSTS[measure]} ({MEASURES[measure].note}) on a "
        f"logarithmic axis, {len(points)} methods.{best_of(grid, of)}",
        ["method", COSTS[measure], of.metric],
        numbers(grid, [spent, of], interval),
    )


def _cost_figure(
    points: list[tuple[str, float, Cell]], of: Column, measure: str, interval: str
) -> Any:
    many = len(points) > NAMED
    names = [shown_name(method, 34, 1) for method, _, _ in points]
    key = [f"{i}  {name}" for i, name in enumerate(names, 1)] if many else []
    lines = math.ceil(len(key) / 2)
    figure = new_figure(3.1 + 0.155 * lines)
    axes = place(figure, 0.66, 0.5 + 0.155 * lines, 0.25, 0.12)
    positive = [x for _, x, _ in points if x > 0]
    zero = math.log10(min(positive)) - 0.6 if positive else 0.0
    where = [math.log10(x) if x > 0 else zero for _, x, _ in points]
    means = [cell.mean for _, _, cell in points]
    for x, (_, cost_of_it, cell) in zip(where, points, strict=True):
        spread = spread_of(cell, interval)
        fill = SERIES[0] if cost_of_it > 0 else PAPER
        axes.errorbar(
            x, cell.mean, yerr=spread or None, fmt="o", color=SERIES[0], markerfacecolor=fill,
            elinewidth=0.7, markersize=4.5, alpha=0.95,
        )  # fmt: skip
    _cost_ticks(axes, where, zero, any(x <= 0 for _, x, _ in points))
    ylabel = "harmonic mean H, %" if of.metric == "H" else f"accuracy, % ({of.metric})"
    axes.set(xlabel=COSTS[measure], ylabel=ylabel)
    horizontal_rules(axes)
    labels = [str(i) for i in range(1, len(points) + 1)] if many else names
    place_labels(axes, where, means, labels)
    for i, entry in enumerate(key):
        column, line = divmod(i, lines)
        height = figure.get_size_inches()[1]
        y = (0.06 + 0.155 * (lines - 1 - line)) / height
        figure.text(0.1 + 0.45 * column, y, entry, size=SMALL)
    return figure


def _cost_ticks(axes: Axes, where: Sequence[float], zero: float, has_zero: bool) -> None:
    """Powers of ten and, where there are few, steps between; 0 at the left of them."""
    positive = [x for x in where if x != zero] or [0.0]
    low, high = min(positive) - 0.2, max(positive) + 0.2
    start = zero - 0.2 if has_zero else low
    by_width = ((0.6, range(1, 10)), (1.2, (1, 2, 5)), (3, (1, 3)), (math.inf, (1,)))
    steps = next(steps for width, steps in by_width if high - start < width)
    values = [s * 10.0**d for d in range(math.floor(low), math.ceil(high)) for s in steps]
    ticks = {zero: "0"} if has_zero else {}
    for value in values:
        if low <= math.log10(value) <= high:
            ticks[math.log10(value)] = f"{value:,.0f}" if value >= 1 else f"{value:g}"
    axes.set_xticks([*ticks], [*ticks.values()])
    axes.set_xlim(start, high)
