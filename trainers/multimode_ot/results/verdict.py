"""Whether our numbers agree with published ones.

A published number and ours are compared where method, backbone, shots, selection of weights and
all settings are the published ones, on all images of the data set; a verdict is then

* for a trained method: `agrees` if the published mean over `m` seeds lies in the 95% interval
  `ours ± t s sqrt(1/n + 1/m)`, else `differs`. `s` is the standard deviation (n - 1) over our `n`
  seeds and `t` the 97.5% quantile of Student's t with `n - 1` degrees of freedom: both means
  scatter from seed to seed, and the published one does so no less than ours, so that the interval
  of our mean alone would find differences that are none (9% of the time with three seeds each, not
  5%). Half a unit of the last printed digit is added. A published mean over an unknown number of
  seeds counts as one seed. With one seed of ours there is no spread to judge by, and no verdict.
* for a method that trains nothing: `agrees` within 0.1 points, which is what half precision and
  versions of image libraries move; there is no other chance in it.

One verdict of twenty `differs` by chance alone. Everything else is `not comparable`, with the first
reason that is found; then no difference is stated either.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import AVERAGE
from .grid import Column, Grid, student
from .protocol_tables import headings
from .published import PublishedCell, PublishedRow, backbone_name
from .published_sizes import SIZES, classes_of
from .tree import is_zero_shot, row_label, shots_of

Result = Mapping[str, Any]
TOLERANCE = 0.1  # points, of what trains nothing
ROUNDING = 0.005  # points
AGREES, DIFFERS, NOT_COMPARABLE = "agrees", "differs", "not comparable"


@dataclass(frozen=True)
class Verdict:
    """Ours beside one published number, in per cent and points.

    Attributes:
        difference: ours minus published; None where they are not comparable.
        low, high: its 95% interval; None also of what trains nothing.
        verdict: `agrees`, `differs`, or `not comparable: REASON`.
    """

    method: str
    published_row: str
    dataset: str
    metric: str
    ours: float
    published: float
    difference: float | None
    low: float | None
    high: float | None
    verdict: str


def verdicts(
    grid: Grid, protocol: str, results: Sequence[Result], unlike: Callable[[Result], str]
) -> list[Verdict]:
    """One for each cell of our runs, and each published row of its method that has the cell.

    Args:
        grid: with published rows.
        results: what the grid is made of.
        unlike: why a result's settings are not known to be the published ones, "" if they are.
    """
    own = {row_label(r): r["method"] for r in results if not r.get("regularisers")}
    found = []
    for method in grid.measured:
        for label, row in grid.published.items():
            if own.get(method) != row.our_name:
                continue
            for column, published in row.cells.items():
                if not grid.cell(method, column).by_seed:
                    continue
                made_of = list(_made_of(grid, protocol, results, method, column))
                reasons = _reasons(row, published, made_of, unlike)
                found.append(_judge(grid, method, label, column, published, next(reasons, "")))
    return found


def _judge(
    grid: Grid, method: str, label: str, column: Column, published: PublishedCell, reason: str
) -> Verdict:
    cell = grid.cell(method, column)
    values = list(cell.by_seed.values())
    start = (method, label, column.dataset, column.heading, cell.mean, published.value)
    if not reason and not cell.every_seed and len(values) < 2:
        reason = "seeds: one run here has no spread to judge by"
    if reason:
        return Verdict(*start, None, None, None, f"{NOT_COMPARABLE}: {reason}")
    difference = cell.mean - published.value
    if cell.every_seed:
        word = AGREES if abs(difference) <= TOLERANCE + ROUNDING else DIFFERS
        return Verdict(*start, difference, None, None, word)
    n, m = len(values), published.seeds or 1
    half = student(n - 1) * statistics.stdev(values) * math.sqrt(1 / n + 1 / m) + ROUNDING
    word = AGREES if abs(difference) <= half else DIFFERS
    return Verdict(*start, difference, difference - half, difference + half, word)


def _made_of(
    grid: Grid, protocol: str, results: Sequence[Result], method: str, column: Column
) -> Iterator[Result]:
    """The results that a cell comes from."""
    heads = headings(results, protocol)
    datasets = grid.datasets(column.metric) if column.dataset == AVERAGE else [column.dataset]
    for r in results:
        within = row_label(r) == method and r["dataset"] in datasets
        if within and (column.metric == "H" or column.metric in heads(r)):
            yield r


def _reasons(
    row: PublishedRow,
    published: PublishedCell,
    results: Sequence[Result],
    unlike: Callable[[Result], str],
) -> Iterator[str]:
    """Why results may not be compared with a published number, the plainest first."""
    for r in results:
        here = r.get("backbone")
        if here is None:
            yield "the backbone is not recorded"
        elif backbone_name(r) != row.backbone:
            yield f"other backbone: {row.backbone} published, {here} here"
        shots = shots_of(r) or 0
        if not is_zero_shot(r) and shots != published.shots:
            yield f"other shots: {published.shots} published, {shots} here"
        if published.incomparable:
            yield published.incomparable
        yield from _selection(published, r)
        yield from _images(r)
        if differing := unlike(r):
            yield differing


def _selection(published: PublishedCell, r: Result) -> Iterator[str]:
    if is_zero_shot(r) and not published.selected_on:
        return
    selection = r.get("selection")
    if not selection:
        yield "selection of weights is not recorded"
        return
    rule, split = selection.get("rule"), selection.get("split")
    here = f"chosen on {split}" if split else {"last_step": "last epoch"}.get(rule, str(rule))
    there = f"chosen on {published.selected_on}" if published.selected_on else "last epoch"
    if here != there:
        yield f"other selection: {there} published, {here} here"


def _images(r: Result) -> Iterator[str]:
    if r.get("split", "test") != "test":
        yield f"tested on the {r['split']} images"
    if r.get("skipped"):
        yield f"{r['skipped']} test images were skipped"
    if r["dataset"] not in SIZES:
        return
    classes, images = SIZES[r["dataset"]]
    wanted = classes_of(classes, r["subset"])
    here = r.get("made_of", {}).get("classes")
    if here is not None and len(here) != wanted:
        yield f"other classes: {wanted} published, {len(here)} here"
    if r["subset"] == "all" and r.get("total", images) != images:
        yield f"other test images: {images} published, {r['total']} here"
