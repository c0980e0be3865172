"""Charts of a grid: base and new classes, and few-shot curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..grid import Cell, Column, Grid
from ..tree import UNTRAINED_CLASSES
from .numbers import best_of, numbers, spread_of
from .style import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    WIDTH,
    Chart,
    drawing,
    horizontal_rules,
    label_width,
    new_figure,
    place,
    shown_name,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOGETHER = 6  # more curves than these get an axis each
HALVES = ("base", "new", "H")
_LOOKS: tuple[dict[str, Any], ...] = (  # full, hatched, hollow
    {"color": SERIES[0], "edgecolor": SERIES[0], "linewidth": 0.6},
    {"color": SERIES[1], "edgecolor": PAPER, "linewidth": 0.4, "hatch": "/////"},
    {"color": PAPER, "edgecolor": INK, "linewidth": 0.8},
)


def bars(grid: Grid, dataset: str, interval: str = "std") -> Chart:
    """Accuracy on base and new classes and their harmonic mean, with the spread over seeds."""
    columns = [Column(dataset, metric) for metric in HALVES]
    names = [shown_name(method, 26) for method in grid.methods]
    count, left = len(names), label_width(names) + 0.15
    with drawing():
        figure = new_figure(0.8 + 0.42 * count)
        axes = place(figure, left, 0.42, 0.12, 0.34)
        for shift, column, look in zip((-0.26, 0, 0.26), columns, _LOOKS, strict=True):
            _draw_bars(axes, grid, column, interval, shift, look)
        axes.set(xlim=(0, 112), ylim=(count - 0.45, -0.55), xticks=range(0, 101, 20))
        axes.set_yticks(range(count), names)
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        figure.legend(*axes.get_legend_handles_labels(), loc="upper right", ncols=3)
    best = best_of(grid, columns[2])
    return Chart(
        figure,
        f"{dataset}: accuracy on base and new classes, and their harmonic mean H",
        f"Bars of base, new and harmonic mean accuracy of {count} methods on {dataset}.{best}",
        ["method", *HALVES],
        numbers(grid, columns, interval),
    )


def _draw_bars(
    axes: Axes, grid: Grid, column: Column, interval: str, shift: float, look: dict[str, Any]
) -> None:
    cells = [grid.cell(method, column) for method in grid.methods]
    places = [i + shift for i in range(len(cells))]
    means = [cell.mean if cell.by_seed else 0.0 for cell in cells]
    axes.barh(
        places,
        means,
        0.25,
        label=column.metric,
        **look,
    )
    for where, cell in zip(places, cells, strict=True):
        if not cell.by_seed:
            axes.text(1, where, "missing", size=6.5, va="center", color=MUTED)
            continue
        spread = spread_of(cell, interval)
        if spread:
            axes.errorbar(cell.mean, where, xerr=spread, color=INK, elinewidth=0.8, capsize=1.5)
        text = cell.text() + (UNTRAINED_CLASSES if cell.untrained_classes else "")
        axes.text(min(cell.mean + spread, 101) + 0.8, where, text, size=6.5, va="center")


def curves(grid: Grid, dataset: str, interval: str = "std") -> Chart:
    """Accuracy by number of shots, with bands of the spread over seeds.

    A zero-shot method is a level line. More than `TOGETHER` methods get an axis each, with the
    others in grey behind.
    """
    columns = [c for c in grid.columns if c.dataset == dataset and not c.measure]
    shots = _positions(columns)
    together = len(grid.methods) <= TOGETHER
    with drawing():
        draw = _one_axis if together else _axis_each
        figure = draw(grid, columns, shots, interval)
    return Chart(
        figure,
        f"{dataset}: accuracy by number of shots; bands are the spread over seeds",
        f"Curves of accuracy on {dataset} by number of shots, {len(grid.methods)} methods, "
        f"{', '.join(c.metric for c in columns)}.{best_of(grid, columns[-1])}",
        ["method", *(c.metric for c in columns)],
        numbers(grid, columns, interval),
        wide=not together,
    )


def _positions(columns: Sequence[Column]) -> list[float]:
    """Where numbers of shots are on an axis on which they double; all images come last."""
    places: list[float] = []
    for column in columns:
        first = column.metric.split()[0]
        last = places[-1] + 1 if places else 0.0
        places.append(math.log2(int(first)) if first.isdigit() else last)
    return places


def _draw_curve(
    axes: Axes, cells: Sequence[Cell], shots: Sequence[float], interval: str, **style: Any
) -> None:
    there = [(x, cell) for x, cell in zip(shots, cells, strict=True) if cell.by_seed]
    x = [x for x, _ in there]
    mean = [cell.mean for _, cell in there]
    spread = [spread_of(cell, interval) for _, cell in there]
    if there and all(cell.every_seed for _, cell in there):
        style |= {"marker": "", "linewidth": 1.2}
    axes.plot(x, mean, **style)
    if any(spread):
        low = [m - s for m, s in zip(mean, spread, strict=True)]
        high = [m + s for m, s in zip(mean, spread, strict=True)]
        axes.fill_between(x, low, high, color=style["color"], alpha=0.16, linewidth=0)


def _one_axis(grid: Grid, columns: Sequence[Column], shots: Sequence[float], interval: str) -> Any:
    names = [shown_name(method, 40, 1) for method in grid.methods]
    lines = math.ceil(len(names) / 2)
    figure = new_figure(2.9 + 0.19 * lines)
    axes = place(figure, 0.66, 0.55 + 0.19 * lines, 0.15, 0.12)
    for method, name, style in zip(grid.methods, names, styles(len(names)), strict=True):
        cells = [grid.cell(method, column) for column in columns]
        _draw_curve(axes, cells, shots, interval, label=name, **style)
    _shot_ticks(axes, columns, shots)
    axes.set(xlabel="shots", ylabel="accuracy, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=2)
    return figure


def _axis_each(grid: Grid, columns: Sequence[Column], shots: Sequence[float], interval: str) -> Any:
    across = 5
    down = math.ceil(len(grid.methods) / across)
    figure = new_figure(0.45 + 1.32 * down, 2 * WIDTH)
    every = place(
        figure, 0.62, 0.42, 0.1, 0.3, nrows=down, ncols=across, sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    figure.subplots_adjust(hspace=0.35, wspace=0.08)
    rows = {m: [grid.cell(m, column) for column in columns] for m in grid.methods}
    for axes, method in zip(every.flat, grid.methods, strict=False):
        others = [cells for other, cells in rows.items() if other != method]
        x = [*shots, math.nan] * len(others)
        y = [value for cells in others for value in (*(c.mean for c in cells), math.nan)]
        axes.plot(x, y, color=MUTED, linewidth=0.5, alpha=0.35)
        style = {"color": SERIES[0], "marker": "o", "linestyle": "-"}
        _draw_curve(axes, rows[method], shots, interval, **style)
        axes.set_title(shown_name(method, 30, 2), loc="left", size=8)
        _shot_ticks(axes, columns, shots)
    for i, axes in enumerate(every.flat):
        axes.set_visible(i < len(grid.methods))
        axes.tick_params(labelbottom=i + across >= len(grid.methods))
    for axes in every[:, 0]:
        axes.set_ylabel("accuracy, %", size=8)
    figure.supxlabel("shots", size=8, y=0.08 / figure.get_size_inches()[1])
    return figure


def _shot_ticks(axes: Axes, columns: Sequence[Column], shots: Sequence[float]) -> None:
    words = [c.metric.split()[0] if c.metric[0].isdigit() else c.metric for c in columns]
    axes.set_xticks(shots, words)
    axes.set_xlim(shots[0] - 0.25, shots[-1] + 0.25)
    horizontal_rules(axes)
