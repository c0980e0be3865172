"""How charts look: colours, marks and sizes that hold in print, in the dark and without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, cast

from ..extras import require_extras

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A page replaces these colours by its own, `var(--NAME)`, which differ in light and dark.
COLOURS = {
    "s1": "#0067a6",
    "s2": "#b84a00",
    "s3": "#00755a",
    "s4": "#9c3f86",
    "s5": "#856200",
    "s6": "#474d55",
    "ink": "#1b1f24",
    "muted": "#57606c",
    "rule": "#d3d8de",
    "paper": "#fffffe",
}
INK, MUTED, RULE, PAPER = (COLOURS[name] for name in ("ink", "muted", "rule", "paper"))
SERIES = tuple(COLOURS[f"s{i}"] for i in range(1, 7))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1)))
WIDTH = 5.0  # inches, of a chart that is as wide as a phone
SMALL = 7.5  # points
_SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "hatch.linewidth": 0.7,
    "hatch.color": PAPER,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "text.parse_math": False,  # a name may have $ in it
    "axes.unicode_minus": False,
    "pdf.fonttype": 42,  # which publishers want
}


@dataclass(frozen=True)
class Chart:
    """A figure with what is said of it, and its numbers.

    Attributes:
        title: a caption.
        alt: what it shows, for who cannot see it.
        rows: its numbers, as texts below `columns`.
        wide: takes the whole width of a page.
    """

    figure: Figure
    title: str
    alt: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    wide: bool = False


@contextmanager
def drawing() -> Iterator[None]:
    """All charts are made and written within.

    Raises:
        ImportError: Matplotlib is not installed; says how to install it.
    """
    require_extras("a chart", "matplotlib")
    import matplotlib

    with matplotlib.rc_context(cast(Any, _SETTINGS)):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, in inches; no window or global state is involved."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def place(figure: Figure, left: float, bottom: float, right: float, top: float, **more: Any) -> Any:
    """Axes with margins in inches; `more` as `Figure.subplots` has it."""
    width, height = figure.get_size_inches()
    axes = figure.subplots(**more)
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return axes


def styles(count: int) -> list[dict[str, Any]]:
    """Colour, marker and line style of so many series; no two of the first 24 are the same."""
    triples = zip(cycle(SERIES), cycle(MARKERS), cycle(LINES), strict=False)
    return [
        {"color": colour, "marker": marker, "linestyle": line}
        for colour, marker, line in islice(triples, count)
    ]


def shown_name(name: str, width: int = 24, lines: int = 3) -> str:
    """A name as a chart shows it: wrapped, cut where it is too long, and printable."""
    visible = "".join(c if c.isprintable() else "�" for c in name)
    wrapped = textwrap.wrap(visible, width, max_lines=lines, placeholder=" …")
    return "\n".join(wrapped)


def label_width(names: Sequence[str], size: float = 8) -> float:
    """Inches that the longest line of names takes."""
    longest = max((len(line) for name in names for line in name.splitlines()), default=0)
    return longest * size * 0.6 / 72


def horizontal_rules(axes: Axes) -> None:
    """Faint lines to read values by."""
    axes.grid(axis="y")
    axes.tick_params(length=2.5)
