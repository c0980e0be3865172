"""The comparisons of an output tree: one a protocol and training, with table and charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..charts.comparison import bars, curves
from ..charts.cost import COSTS, cost
from ..charts.style import Chart
from ..comparability import require_comparable
from ..fields import AVERAGE
from ..grid import Column, Grid
from ..measures import with_measures
from ..protocol_tables import MAKERS, make_grid
from ..render import column_texts, notes
from ..tree import (
    UNTRAINED,
    collect,
    heading,
    is_zero_shot,
    row_label,
    shots_of,
    source_of,
)

TITLES = {
    "base2new": "Base to new classes",
    "fewshot": "Few shots",
    "cross_dataset": "To other data sets",
    "domain": "To other domains",
}
SPENT = ("seconds", "peak_memory_mb", "trained_parameters")
ACROSS = 6  # columns of a sheet of paper
TRANSFERS = ("cross_dataset", "domain")  # whose seconds are those of a test


class Entry(NamedTuple):
    """A cell of a table; `value` sorts it, and is None where nothing is known."""

    text: str
    value: float | None
    rank: int


@dataclass(frozen=True)
class Table:
    """A table of a page: headings in two lines, and a row of entries a method."""

    label: str
    groups: list[tuple[str, int]]
    headings: list[str]
    rows: list[tuple[str, list[Entry]]]

    @property
    def sheets(self) -> list[Table]:
        """Pieces of at most `ACROSS` columns, for paper; data sets stay whole where they can."""
        parts = [
            (name, min(ACROSS, span - i))
            for name, span in self.groups
            for i in range(0, span, ACROSS)
        ]
        packed: list[list[tuple[str, int]]] = [[]]
        for part in parts:
            if sum(span for _, span in packed[-1]) + part[1] > ACROSS:
                packed.append([])
            packed[-1].append(part)
        found, start = [], 0
        for groups in packed:
            end = start + sum(span for _, span in groups)
            rows = [(method, entries[start:end]) for method, entries in self.rows]
            found.append(Table(self.label, groups, self.headings[start:end], rows))
            start = end
        return found


@dataclass(frozen=True)
class Comparison:
    """What is compared under one heading.

    Attributes:
        training: what its prompts were trained on, where a protocol has several; may be "".
        refusal: why its results may not share a table; then there is no grid.
    """

    protocol: str
    training: str
    results: list[dict[str, Any]]
    grid: Grid | None = None
    refusal: str = ""
    interval: str = "std"
    tables: list[Table] = field(default_factory=list)

    @property
    def title(self) -> str:
        return ", ".join(filter(None, (TITLES[self.protocol], self.training)))

    @property
    def notes(self) -> list[str]:
        return notes(self.grid, self.interval) if self.grid else []


def comparisons(
    output: Path, trains: Callable[[str], bool], mix: bool = False, interval: str = "std"
) -> list[Comparison]:
    """All that can be compared below a folder.

    Args:
        trains: as `tree.collect` has it.
        mix: allow different configurations in one table.

    Raises:
        FileNotFoundError: no such folder, or no result in it.
        ValueError: a file that is no result; names it.
    """
    found = []
    for protocol in MAKERS:
        try:
            results = collect(output, protocol, trains)
        except FileNotFoundError:
            if not output.is_dir():
                raise
            continue
        for training, those in _trainings(results, protocol):
            found.append(_compare(protocol, training, those, mix, interval))
    return found


def _trainings(
    results: list[dict[str, Any]], protocol: str
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Results that may share a table by what was trained on; zero-shot ones belong to all."""

    def is_free(r: dict[str, Any]) -> bool:
        return is_zero_shot(r) or row_label(r).endswith(UNTRAINED)

    found = {(source_of(r), shots_of(r)) for r in results if not is_free(r)}
    if protocol == "fewshot" or not found:
        yield "", results
        return
    for source, shots in sorted(found, key=lambda t: (t[0], t[1] is None, t[1])):
        words = (f"from {source}" if source else "", heading(shots))
        those = [r for r in results if is_free(r) or (source_of(r), shots_of(r)) == (source, shots)]
        yield ", ".join(filter(None, words)), those


def _compare(
    protocol: str, training: str, results: list[dict[str, Any]], mix: bool, interval: str
) -> Comparison:
    try:
        if not mix:
            require_comparable(results)
        plain = make_grid(results, protocol)
    except ValueError as error:
        return Comparison(protocol, training, results, refusal=str(error))
    grid = with_measures(plain, protocol, results, SPENT)
    tables = [*_tables(grid, interval)]
    return Comparison(protocol, training, results, grid, "", interval, tables)


def subject(grid: Grid) -> str:
    """The average over data sets, or the only one."""
    return grid.columns[-1].dataset


def _tables(grid: Grid, interval: str) -> Iterator[Table]:
    """One table, or two where time and memory have more columns than stand well beside accuracy."""
    accuracy = [c for c in grid.columns if not c.measure]
    spent = [c for c in grid.columns if c.measure and c.dataset == subject(grid)]
    if len(spent) <= len(SPENT):
        yield _table("accuracy and cost", grid, accuracy + spent, interval)
    else:
        yield _table("accuracy", grid, accuracy, interval)
        yield _table("cost", grid, spent, interval)


def _table(label: str, grid: Grid, columns: Sequence[Column], interval: str) -> Table:
    headings = [_headings(column) for column in columns]
    groups = [(name, len(list(same))) for name, same in groupby(upper for upper, _ in headings)]
    rows: list[tuple[str, list[Entry]]] = [(method, []) for method in grid.methods]
    for column in columns:
        texts, ranked = column_texts(grid, column, interval)
        for method, entries in rows:
            cell = grid.cell(method, column)
            value = cell.mean if cell.by_seed else None
            entries.append(Entry(texts[method], value, ranked.get(method, 0)))
    return Table(label, groups, [lower for _, lower in headings], rows)


def _headings(column: Column) -> tuple[str, str]:
    """The upper and the lower heading of a column."""
    if not column.measure:
        return column.dataset, column.metric
    of = ", average" if column.dataset == AVERAGE else ""
    part = column.heading.removesuffix(column.measure).strip()
    return (f"{column.measure}{of}", part) if part else (f"cost{of}", column.measure)


def charts(comparison: Comparison) -> Iterator[tuple[str, Chart]]:
    """A comparison's charts with the data set of each."""
    grid, interval = comparison.grid, comparison.interval
    if grid is None:
        return
    datasets = list(dict.fromkeys(c.dataset for c in reversed(grid.columns)))
    draw = {"base2new": bars, "fewshot": curves}.get(comparison.protocol)
    # One number of shots is no curve.
    if draw and len({c.metric for c in grid.columns if not c.measure}) > 1:
        yield from ((dataset, draw(grid, dataset, interval)) for dataset in datasets)
    for measure in COSTS:
        if comparison.protocol in TRANSFERS and measure == "seconds":
            continue
        try:
            yield subject(grid), cost(grid, subject(grid), measure, interval)
        except ValueError:  # no result says what it cost
            continue


def missing_cells(grid: Grid) -> Iterator[str]:
    """What a table lacks, a sentence a cell."""
    for method in grid.methods:
        for column in grid.columns:
            if column.dataset == AVERAGE or column.measure or column.metric == "H":
                continue
            cell = grid.cell(method, column)
            seeds = {s for m in grid.methods for s in grid.cell(m, column).by_seed}
            lacking = [] if cell.every_seed else sorted(seeds - set(cell.by_seed))
            where = f"{method}, {column.dataset} {column.metric}"
            if not cell.by_seed:
                yield f"{where}: missing"
            elif lacking:
                yield f"{where}: seed {', '.join(map(str, lacking))} missing"
