"""Pictures of plans and of maps, as PNG.

Drawn without pyplot, whose state belongs to whoever imports this, and with matplotlib's own
settings, whatever the machine's are. Class names are shown letter by letter: none is read as
mathematics. Lengths are in inches. Axes: `M` and `N` modes, `R` rows and `C` columns of panels.
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

from .canvas import MIDDLE, Seen
from .overlay import inner_borders

DPI = 160
STYLE: Any = {"text.parse_math": False, "text.usetex": False, "font.size": 7, "axes.titlesize": 7}
# Even in lightness, and without their darkest ends, on which the picture's lines would be lost.
COLOURS = {"sequential": ("viridis", 0.22, 1.0), "signed": ("RdBu_r", 0.1, 0.9)}
OPACITY = 0.8  # of a map over its picture
PANEL, WIDEST = 1.4, 17.0  # a panel's width; that of all panels, beyond which they get smaller
LONGEST_EDGE = 2.4  # a panel's height by its width, at most; of an oblong picture
TITLE, NOTE, GAP, NAME, BAR = 0.17, 0.1, 0.06, 0.2, 0.75  # room for these
LONGEST = 34  # letters of a name


class Panel(NamedTuple):
    """One map: `values` `(rows * columns,)` of the patches row by row; what stands above it, and
    below it."""

    values: np.ndarray
    title: str = ""
    note: str = ""


def shown(name: str, longest: int = LONGEST) -> str:
    """A name as it can stand in a picture: on one line, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def colours(kind: str) -> ListedColormap:
    """One of `COLOURS`."""
    name, low, high = COLOURS[kind]
    return ListedColormap(matplotlib.colormaps[name](np.linspace(low, high, 256)))


@contextmanager
def _plain() -> Iterator[None]:
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        # A letter that the font lacks is a box in the picture; the page has the name itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def draw_matrices(
    file: Path, matrices: Sequence[tuple[str, np.ndarray]], label: str, axes: tuple[str, str]
) -> None:
    """Plans beside each other on one scale, each number in its cell.

    Args:
        matrices: titles and plans `(M, N)` of mass 1 with uniform marginals.
        label: of the colour bar.
        axes: what the rows and the columns are called.
    """
    with _plain():
        rows, columns = matrices[0][1].shape
        cell = min(0.42, 9 / (columns * len(matrices)))
        width = len(matrices) * (columns * cell + 0.75) + 0.7
        figure = Figure((width, max(1.2, rows * cell + 1.0)), layout="constrained", dpi=DPI)
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
        colour = "white" if norm(value) < 0.45 else "black"
        size = max(3.0, min(6.5, 15 * cell))
        text = f"{value:.4f}".removeprefix("0")
        place.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def draw_picture(file: Path, seen: Seen) -> None:
    """The picture alone, with what the network saw."""
    with _plain():
        sheet = _Sheet(seen, 1, 1, notes=0)
        _draw_picture(sheet.place(0, 0), seen)
        sheet.figure.savefig(file, format="png")


def draw_maps(
    file: Path,
    seen: Seen,
    panels: Sequence[Sequence[Panel]],
    label: str,
    title: str = "",
    rows: Sequence[str] = (),
    mark: float | None = None,
) -> None:
    """Maps over a picture on one scale, `R` rows of at most `C` panels, the picture in front.

    Args:
        label: of the colour bar.
        title: above all.
        rows: what stands in front of each row.
        mark: a value to mark in the colour bar, which then begins at zero.
    """
    with _plain():
        notes = max(len(panel.note.splitlines()) for row in panels for panel in row)
        sheet = _Sheet(seen, len(panels), 1 + max(map(len, panels)), notes, title, bool(rows))
        norm = _norm([panel.values for row in panels for panel in row], mark)
        _draw_picture(sheet.place(0, 0), seen)
        for r, row in enumerate(panels):
            for c, panel in enumerate(row, start=1):
                place = sheet.place(r, c)
                image = _draw_map(place, seen, panel, norm)
                if c == 1 and rows:
                    _name_row(place, rows[r])
        bar = sheet.bar(image, label)
        if mark is not None:
            bar.axhline(mark, color="white", linewidth=2)
            bar.axhline(mark, color="black", linewidth=0.8)
        sheet.figure.savefig(file, format="png")


class _Sheet:
    """A figure with panels in rows and columns, all of one size, and room for a colour bar.

    Args:
        notes: lines below a panel.
        named: rows have names.
    """

    def __init__(
        self, seen: Seen, rows: int, columns: int, notes: int, title: str = "", named: bool = False
    ):
        width, height = seen.size
        self.rows, self.named = rows, named
        self.wide = min(PANEL, WIDEST / columns)
        self.high = self.wide * min(LONGEST_EDGE, max(0.3, height / width))
        self.step = self.high + TITLE + notes * NOTE + GAP
        top = 0.25 if title else 0.05
        self.bottom = rows * self.step
        self.left = columns * (self.wide + GAP) + named * NAME + GAP
        size = (self.left + (BAR if columns > 1 else 0), self.bottom + top)
        self.figure = Figure(size, dpi=DPI)
        if title:
            x = self.left / 2 / size[0]
            self.figure.text(x, 1 - 0.04 / size[1], title, ha="center", va="top", size=8)

    def place(self, row: int, column: int) -> Axes:
        """The axes of a panel."""
        left = GAP + column * (self.wide + GAP) + (NAME if self.named and column else 0)
        axes = self._axes(left, self.bottom - row * self.step - TITLE - self.high, self.wide)
        axes.set_axis_off()
        return axes

    def bar(self, image: Any, label: str) -> Axes:
        """Draw the colour bar and return its axes."""
        high = min(self.bottom, 6.0) - TITLE - 0.15
        bottom = self.bottom - TITLE - high
        axes = self._axes(self.left + 0.05, bottom, 0.13, high)
        axes.set_facecolor((MIDDLE / 255,) * 3)  # as in the middle of a panel
        self.figure.colorbar(image, cax=axes, label=label)
        return axes

    def _axes(self, left: float, bottom: float, wide: float, high: float | None = None) -> Axes:
        width, height = self.figure.get_size_inches()
        high = self.high if high is None else high
        return self.figure.add_axes((left / width, bottom / height, wide / width, high / height))


def _name_row(place: Axes, name: str) -> None:
    place.text(-0.04, 0.5, name, transform=place.transAxes, rotation=90, ha="right", va="center")


def _draw_picture(place: Axes, seen: Seen) -> None:
    _show(place, seen, seen.picture)
    _outline(place, seen)
    place.set_title("picture", pad=2)


def _draw_map(place: Axes, seen: Seen, panel: Panel, norm: Normalize) -> Any:
    left, top, right, bottom = seen.rectangle
    _show(place, seen, seen.pale)
    image = place.imshow(
        panel.values.reshape(seen.grid),
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
    _show(place, seen, seen.lines, zorder=3)
    _outline(place, seen)
    place.set_title(panel.title, pad=2)
    if panel.note:
        place.text(
            0.5, -0.02, panel.note, transform=place.transAxes, ha="center", va="top", size=5.5
        )
    return image


def _show(place: Axes, seen: Seen, picture: np.ndarray, zorder: float = 0) -> None:
    """A picture of any size in the place of the whole original."""
    width, height = seen.size
    way = "nearest" if max(picture.shape) < 64 else "antialiased"
    place.imshow(picture, extent=(0, width, height, 0), interpolation=way, zorder=zorder)


def _outline(place: Axes, seen: Seen) -> None:
    box, (width, height) = seen.rectangle, seen.size
    corner = (box.left, box.top)
    place.add_patch(
        Outline(corner, box.width, box.height, fill=False, edgecolor="black", linewidth=0.6)
    )
    place.set_xlim(0, width)
    place.set_ylim(height, 0)


def _norm(values: Sequence[np.ndarray], mark: float | None) -> Normalize:
    """One scale for all: from zero to beyond the mark, if there is one; around zero where there are
    both signs."""
    every = np.concatenate([np.ravel(v) for v in values])
    low, high = float(every.min()), float(every.max())
    if mark is not None:
        low, high = min(low, 0.0), max(high, mark)
    elif low < 0 < high:
        most = max(-low, high)
        return TwoSlopeNorm(0, -most, most)
    if math.isclose(low, high, abs_tol=1e-12):
        low, high = low - 1e-6, high + 1e-6
    return Normalize(low, high)
