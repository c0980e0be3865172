"""Which published rows fit a table, and what they have for its columns."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .fields import AVERAGE
from .grid import Cell, Column, Grid
from .published import PublishedCell, PublishedRow, backbone_name, published_rows, usual_datasets
from .results_json import harmonic_mean
from .tree import is_zero_shot, row_label, shots_of, source_of

Result = Mapping[str, Any]
SOURCE = "imagenet"  # of the prompts of all published transfers


def with_published(
    grid: Grid, protocol: str, results: Sequence[Result], methods: Sequence[str] = ()
) -> Grid:
    """The grid with the published rows that have a number in its columns, each below the runs of
    its method, those of other methods at the end.

    A published average is shown where the table has the data sets that it is over; elsewhere it is
    computed from the row's own numbers, if it has them for all data sets of the table.

    Args:
        results: what the grid is made of.
        methods: only rows of these, by their names here or in the sources.
    """
    of_runs = {row_label(r): r["method"] for r in results}
    wanted = {of_runs.get(method, method) for method in methods}
    found: dict[str, PublishedRow] = {}
    for row in _of_the_same_source(protocol, results):
        cells = {c: cell for c in grid.columns if (cell := _at(row, c, grid, protocol))}
        if cells and (not wanted or wanted & {row.method, row.our_name}):
            fitting = replace(row, cells=cells)
            found[_label(fitting, protocol, results)] = fitting
    numbers = {
        (label, column): Cell({0: cell.value})
        for label, row in found.items()
        for column, cell in row.cells.items()
    }
    return replace(
        grid,
        methods=_order(grid, found, of_runs),
        cells={**grid.cells, **numbers},
        note="\n".join([grid.note, *_notes(found, grid)]),
        published=found,
    )


def _of_the_same_source(protocol: str, results: Sequence[Result]) -> Sequence[PublishedRow]:
    """All rows, unless runs transfer prompts from where no published ones are from."""
    sources = {source_of(r) for r in results if not is_zero_shot(r)}
    return published_rows(protocol) if sources <= {SOURCE, ""} else ()


def _label(row: PublishedRow, protocol: str, results: Sequence[Result]) -> str:
    backbones = set(filter(None, map(backbone_name, results)))
    shots = {shots_of(r) or 0 for r in results if not is_zero_shot(r)}
    return row.label(backbones, set() if protocol == "fewshot" else shots)


def _order(grid: Grid, found: Mapping[str, PublishedRow], of_runs: Mapping[str, str]) -> list[str]:
    names = [of_runs.get(method, method) for method in grid.methods]
    rows = []
    for i, (method, name) in enumerate(zip(grid.methods, names, strict=True)):
        rows.append(method)
        if name not in names[i + 1 :]:
            rows += [label for label, row in found.items() if row.our_name == name]
    return rows + [label for label in found if label not in rows]


def _at(row: PublishedRow, column: Column, grid: Grid, protocol: str) -> PublishedCell | None:
    """What a row has for a column of the table."""
    if column.measure:
        return None

    def own(dataset: str, metric: str) -> PublishedCell | None:
        # As every zero-shot result, a published one holds for every number of shots.
        any_shots = protocol == "fewshot" and not row.trained
        return row.cells.get(Column(dataset, "zero-shot" if any_shots else metric))

    printed = own(column.dataset, column.metric)
    if column.dataset != AVERAGE:
        return printed
    datasets = grid.datasets(column.metric)
    if printed and set(datasets) == usual_datasets(protocol):
        return printed
    halves = ("base", "new") if column.metric == "H" else (column.metric,)
    parts = [[cell for d in datasets if (cell := own(d, half))] for half in halves]
    if any(len(part) < len(datasets) for part in parts):
        return None
    means = [statistics.fmean(cell.value for cell in part) for part in parts]
    cells = [cell for part in parts for cell in part]
    return cells[0]._replace(
        value=harmonic_mean(*means) if column.metric == "H" else means[0],
        selected_on=" or ".join(sorted({kind for cell in cells for kind in cell.chosen_on})),
        remark="computed: mean over the data sets of this table",
        incomparable=next((cell.incomparable for cell in cells if cell.incomparable), ""),
        computed=True,
    )


def _notes(found: Mapping[str, PublishedRow], grid: Grid) -> Iterator[str]:
    """Whose the rows are, and what is remarkable about their cells."""
    if not found:
        yield "published rows: none has numbers for the columns of this table"
        return
    sources: dict[str, list[str]] = defaultdict(list)
    remarks: dict[str, list[str]] = defaultdict(list)
    for label, row in found.items():
        for source in dict.fromkeys(cell.source for cell in row.cells.values()):
            sources[source].append(label)
        said: dict[str, list[str]] = defaultdict(list)
        for column, cell in row.cells.items():
            if cell.remark:
                said[cell.remark].append(f"{column.dataset} {column.metric}")
        for remark, where in said.items():
            everywhere = len(where) == len(row.cells) or remark.startswith("computed")
            remarks[remark].append(label if everywhere else f"{label} {', '.join(where)}")
    yield "published rows, none measured here: " + "; ".join(
        f"{', '.join(labels)}: {source}" for source, labels in sources.items()
    )
    if remarks:
        yield "on published numbers: " + "; ".join(
            f"{remark} ({', '.join(where)})" for remark, where in remarks.items()
        )
    absent = [m for m in grid.measured if not any(row.our_name == m for row in found.values())]
    if absent:
        yield f"no published row fits: {', '.join(absent)}"
