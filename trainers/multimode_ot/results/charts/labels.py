"""Names beside points, where they hide least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 7.5  # points
_AROUND = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
Box = tuple[float, float, float, float]


def place_labels(axes: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str]) -> None:
    """Write each name at the side of its point that is freest of points and of other names.

    Args:
        x, y: in data units, after the limits of the axes are set.
    """
    scale = 72 / axes.figure.dpi
    points = [tuple(scale * v for v in axes.transData.transform(p)) for p in zip(x, y, strict=True)]
    low, high = axes.transAxes.transform([(0, 0), (1, 1)]) * scale
    taken: list[Box] = [(px - 3, py - 3, px + 3, py + 3) for px, py in points]
    for i, ((px, py), name) in enumerate(zip(points, names, strict=True)):
        width, height = 0.56 * _SIZE * len(name), _SIZE
        best = min(
            (_box(px, py, width, height, dx, dy) for dx, dy in _AROUND),
            key=lambda box: _hidden(box, taken[:i] + taken[i + 1 :], low, high),
        )
        taken.append(best)
        middle = ((best[0] + best[2]) / 2 - px, (best[1] + best[3]) / 2 - py)
        axes.annotate(
            name,
            (x[i], y[i]),
            middle,
            textcoords="offset points",
            size=_SIZE,
            ha="center",
            va="center_baseline",
        )


def _box(x: float, y: float, width: float, height: float, dx: int, dy: int) -> Box:
    gap = 5 if 0 in (dx, dy) else 3
    left = {1: x + gap, 0: x - width / 2, -1: x - gap - width}[dx]
    bottom = {1: y + gap - 1, 0: y - height / 2, -1: y - gap + 1 - height}[dy]
    return left, bottom, left + width, bottom + height


def _hidden(box: Box, taken: Sequence[Box], low: Sequence[float], high: Sequence[float]) -> float:
    """How much of a label lies on others, and (which weighs more) outside the axes."""
    outside = max(0.0, low[0] - box[0]) + max(0.0, box[2] - high[0] - 12)
    outside += max(0.0, low[1] - box[1]) + max(0.0, box[3] - high[1] - 6)
    shared = sum(_overlap(box, other) for other in taken)
    return shared + 20 * outside


def _overlap(a: Box, b: Box) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0.0
