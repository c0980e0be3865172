"""Where a patch of the network's input lies in the original picture.

Evaluation resizes a picture until its smaller edge is the input's, and cuts the centre out; or it
squashes the whole picture. Undoing this in coordinates, and not in pixels, loses nothing: a map is
drawn on the picture itself.

Coordinates are those of pixel edges: pixel `i` covers `[i, i + 1)`.
"""

from __future__ import annotations

from typing import NamedTuple


class Rectangle(NamedTuple):
    """Edges in pixels, from the upper left corner of a picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def seen_rectangle(width: int, height: int, size: int, resize: str = "shortest") -> Rectangle:
    """The part of a picture that the network saw.

    Args:
        width, height: of the original picture, in pixels.
        size: of the network's square input, in pixels. The picture's smaller edge was resized to
            it, smaller pictures were enlarged, and the centre was cut out, with the roundings of
            torchvision's `Resize(size)` and `CenterCrop(size)`.
        resize: `INPUT.RESIZE_MODE`; of one that was squashed, the whole picture was seen.
    """
    if resize == "squash":
        return Rectangle(0, 0, width, height)
    short = min(width, height)
    resized = [size if edge == short else int(size * edge / short) for edge in (width, height)]
    cut = [round((edge - size) / 2) for edge in resized]
    (x, y) = (edge / now for edge, now in zip((width, height), resized, strict=True))
    left, top = cut[0] * x, cut[1] * y
    return Rectangle(left, top, left + size * x, top + size * y)


def patch_rectangle(seen: Rectangle, rows: int, columns: int, patch: int) -> Rectangle:
    """The rectangle of patch `patch`, counted row by row, of `rows x columns` that divide what was
    seen."""
    row, column = divmod(patch, columns)
    wide, high = seen.width / columns, seen.height / rows
    left, top = seen.left + column * wide, seen.top + row * high
    return Rectangle(left, top, left + wide, top + high)


def inner_borders(seen: Rectangle, rows: int, columns: int) -> tuple[list[float], list[float]]:
    """Where the lines between patches are: the upright ones, and the level ones."""
    upright = [seen.left + i * seen.width / columns for i in range(1, columns)]
    level = [seen.top + i * seen.height / rows for i in range(1, rows)]
    return upright, level
