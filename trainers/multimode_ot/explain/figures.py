"""Pictures of plans and of maps, as PNG.

Drawn without pyplot, whose state belongs to whoever imports this, and with matplotlib's own
settings, whatever the machine's are. Class names are shown letter by letter: none is read as
mathematics. Axes: `M` and `N` modes, `R` rows and `C` columns of panels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Outline
from PIL import Image

from .overlay import Rectangle, inner_borders

DPI = 160
STYLE = {"text.parse_math": False, "text.usetex": False, "font.size": 7, "axes.titlesize": 7}
# Even in lightness, and without their darkest ends, on which the picture's lines would be lost.
COLOURS = {"sequential": ("viridis", 0.22, 1.0), "signed": ("RdBu_r", 0.1, 0.9)}
OPACITY = 0.8  # of a map over its picture
MIDDLE, CONTRAST = 128, 0.25  # the picture below it: paler, or black and white would shift colours
SKETCH = 320  # pixels of the longer edge, in which the picture's lines are drawn above the map
LONGEST = 34  # letters of a name


class Panel(NamedTuple):
    """One map: `values` `(rows * columns,)` of the patches row by row, None for an empty place;
    what stands above it and below it."""

    values: np.ndarray | None
    title: str = ""
    note: str = ""


class Seen(NamedTuple):
    """What a map is drawn on.

    Attributes:
        picture: `(height, width, 3)`, 8 bits, the original pixels.
        rectangle: the part of it that the network saw.
        grid: rows and columns of patches that divide that part.
    """

    picture: np.ndarray
    rectangle: Rectangle
    grid: tuple[int, int]


def shown(name: str, longest: int = LONGEST) -> str:
    """A name as it can stand in a picture: on one line, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


@contextmanager
def _plain() -> Iterator[None]:
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        # A letter that the font lacks is a box in the picture; the page has the name itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def colours(kind: str) -> ListedColormap:
    """One of `COLOURS`."""
    name, low, high = COLOURS[kind]
    return ListedColormap(matplotlib.colormaps[name](np.linspace(low, high, 256)))


def draw_matrices(
    file: Path, matrices: Sequence[tuple[str, np.ndarray]], label: str, axes: tuple[str, str]
) -> None:
    """Small matrices beside each other on one scale, each number in its cell.

    Args:
        matrices: titles and values `(M, N)`.
        label: of the colour bar.
        axes: what the rows and the columns are called.
    """
    with _plain():
        rows, columns = matrices[0][1].shape
        cell = min(0.42, 9 / (columns * len(matrices)))
        width = len(matrices) * (columns * cell + 0.75) + 0.7
        figure = Figure((width, rows * cell + 1.0), layout="constrained", dpi=DPI)
        places = figure.subplots(1, len(matrices), squeeze=False)[0]
        # The most that a marginal allows, so that pictures of several images can be compared.
        norm = Normalize(0, 1 / max(rows, columns))
        for place, (title, values) in zip(places, matrices, strict=True):
            image = place.imshow(values, cmap=colours("sequential"), norm=norm)
            place.set_title(title)
            place.set_xlabel(axes[1])
            place.set_ylabel(axes[0])
            place.set_xticks(range(columns), range(1, columns + 1))
            place.set_yticks(range(rows), range(1, rows + 1))
            _number_cells(place, values, norm, cell)
        figure.colorbar(image, ax=list(places), label=label, shrink=0.9, aspect=14)
        figure.savefig(file, format="png")


def _number_cells(place: Axes, values: np.ndarray, norm: Normalize, cell: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        dark = norm(value) < 0.45
        text = f"{value:.4f}".removeprefix("0")
        place.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=max(3.0, min(6.5, 15 * cell)),
        )


def draw_picture(file: Path, seen: Seen) -> None:
    """The picture alone, with what the network saw."""
    with _plain():
        figure, places = _grid(seen, 1, 1, "")
        places[0, 0].set_axis_off()
        _draw_picture(places[0, 0], seen)
        figure.savefig(file, format="png")


def draw_maps(
    file: Path,
    seen: Seen,
    panels: Sequence[Sequence[Panel]],
    label: str,
    title: str = "",
    rows: Sequence[str] = (),
    mark: float | None = None,
) -> None:
    """Maps over a picture on one scale, `R` rows of `C` panels, the picture alone in front.

    Args:
        label: of the colour bar.
        title: above all.
        rows: what stands in front of each row.
        mark: a value to mark in the colour bar, and to have in its range.
    """
    with _plain():
        columns = max(map(len, panels))
        figure, places = _grid(seen, len(panels), columns + 1, title)
        drawn = [np.asarray(p.values) for row in panels for p in row if p.values is not None]
        norm = _norm([*drawn, np.array([] if mark is None else [mark])], from_zero=mark is not None)
        for r, row in enumerate(panels):
            for place in places[r]:
                place.set_axis_off()
            if r == 0:
                _draw_picture(places[r, 0], seen)
                places[r, 0].set_title("picture")
            if rows:
                _name_row(places[r, 1], rows[r])
            for place, panel in zip(places[r, 1:], row, strict=False):
                if panel.values is not None:
                    image = _draw_map(place, seen, panel, norm)
        bar = figure.colorbar(image, ax=places, label=label, shrink=0.9, aspect=25, pad=0.01)
        bar.ax.set_facecolor((MIDDLE / 255,) * 3)  # as in the middle of a panel
        if mark is not None:
            bar.ax.axhline(mark, color="white", linewidth=2)
            bar.ax.axhline(mark, color="black", linewidth=0.8)
        figure.savefig(file, format="png")


def _grid(seen: Seen, rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    height, width = seen.picture.shape[:2]
    wide = min(1.45, 18 / columns)
    high = wide * min(2.5, max(0.3, height / width))
    size = (columns * (wide + 0.06) + 1.1, rows * (high + 0.4) + (0.3 if title else 0.05))
    figure = Figure(size, layout="constrained", dpi=DPI)
    if title:
        figure.suptitle(title, fontsize=8)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _name_row(place: Axes, name: str) -> None:
    place.text(-0.06, 0.5, name, transform=place.transAxes, rotation=90, ha="right", va="center")


def _draw_picture(place: Axes, seen: Seen) -> None:
    """The picture, dimmed where the network did not see it."""
    height, width = seen.picture.shape[:2]
    place.imshow(_dimmed(seen, seen.picture), extent=(0, width, height, 0), interpolation="nearest")
    _outline(place, seen)


def _draw_map(place: Axes, seen: Seen, panel: Panel, norm: Normalize) -> Any:
    height, width = seen.picture.shape[:2]
    grey = (seen.picture @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, -1)
    place.imshow(
        _dimmed(seen, MIDDLE + CONTRAST * (grey - MIDDLE)),
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    left, top, right, bottom = seen.rectangle
    image = place.imshow(
        np.asarray(panel.values).reshape(seen.grid),
        extent=(left, right, bottom, top),
        interpolation="nearest",
        cmap=colours("signed" if isinstance(norm, TwoSlopeNorm) else "sequential"),
        norm=norm,
        alpha=OPACITY,
    )
    upright, level = inner_borders(seen.rectangle, *seen.grid)
    thin: dict[str, Any] = {"color": "white", "linewidth": 0.25, "alpha": 0.5}
    place.vlines(upright, top, bottom, **thin)
    place.hlines(level, left, right, **thin)
    lines = _sketch(seen)
    place.imshow(lines, extent=(0, width, height, 0), interpolation="antialiased", zorder=3)
    _outline(place, seen)
    place.set_title(panel.title, pad=2)
    if panel.note:
        place.text(
            0.5, -0.02, panel.note, transform=place.transAxes, ha="center", va="top", size=5.5
        )
    return image


def _dimmed(seen: Seen, picture: np.ndarray) -> np.ndarray:
    """Towards grey outside the rectangle; a pixel counts by its centre."""
    height, width = picture.shape[:2]
    left, top, right, bottom = seen.rectangle
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    return np.where(inside[..., None], picture, 0.2 * picture + 0.8 * MIDDLE).astype(np.uint8)


def _sketch(seen: Seen) -> np.ndarray:
    """The picture's lines, where its lightness changes fast, as `(height, width, 4)` black of more
    or less opacity; none outside of what was seen."""
    height, width = seen.picture.shape[:2]
    scale = SKETCH / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    grey = np.asarray(Image.fromarray(seen.picture).convert("L").resize(size, way), float)
    down, right = np.gradient(grey)
    steep = np.hypot(down, right)
    strength = np.clip(steep / max(np.quantile(steep, 0.99), 12.0), 0, 1)
    lines = np.zeros((*grey.shape, 4), np.uint8)
    lines[..., 3] = 165 * strength**1.2
    x = (np.arange(size[0]) + 0.5) * width / size[0]
    y = (np.arange(size[1])[:, None] + 0.5) * height / size[1]
    left, top, right_edge, bottom = seen.rectangle
    lines[..., 3] *= (x > left) & (x < right_edge) & (y > top) & (y < bottom)
    return lines


def _outline(place: Axes, seen: Seen) -> None:
    box, (height, width) = seen.rectangle, seen.picture.shape[:2]
    corner = (box.left, box.top)
    place.add_patch(
        Outline(corner, box.width, box.height, fill=False, edgecolor="black", linewidth=0.6)
    )
    place.set_xlim(0, width)
    place.set_ylim(height, 0)


def _norm(values: Sequence[np.ndarray], from_zero: bool = False) -> Normalize:
    """One scale for all: from zero where asked for, around zero where there are both signs."""
    every = np.concatenate([np.ravel(v) for v in values])
    every = every[np.isfinite(every)]
    low, high = float(every.min()), float(every.max())
    if low < 0 < high:
        most = max(-low, high)
        return TwoSlopeNorm(0, -most, most)
    if from_zero:
        low = min(low, 0.0)
    if math.isclose(low, high, abs_tol=1e-12):
        low, high = low - 1e-6, high + 1e-6
    return Normalize(low, high)
