"""The grid of each protocol. Two results never share a cell and a seed.

The result of a zero-shot method holds for every seed and every number of shots.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from .comparability import unchecked
from .grid import AVERAGE, Cell, Column, Grid, combine
from .results_json import harmonic_mean
from .tree import (
    CHOSEN_ON_TEST,
    OTHER_BACKBONE,
    UNTRAINED,
    UNTRAINED_CLASSES,
    heading,
    holding_for_every_seed,
    is_zero_shot,
    method_of,
    row_label,
    shots_of,
)

Result = Mapping[str, Any]


def headings(results: Sequence[Result], protocol: str) -> Callable[[Result], list[str]]:
    """Tells the headings of the columns that a result of a table stands under."""
    if protocol == "base2new":
        return lambda r: [r["subset"]]
    if protocol == "fewshot":
        every = _shots(results)
        return lambda r: every if is_zero_shot(r) else [heading(shots_of(r))]
    return lambda r: ["source accuracy" if _is_on_source(r) else "accuracy"]


def _shots(results: Sequence[Result]) -> list[str]:
    shots = {shots_of(r) or 0 for r in results if not is_zero_shot(r)}
    return [heading(n) for n in sorted(shots, key=lambda n: (n < 1, n))] or ["zero-shot"]


def _is_on_source(r: Result) -> bool:
    return "transfer" in r and r["transfer"].on_source


def base_to_new(results: list[dict[str, Any]], datasets: Sequence[str] = ()) -> Grid:
    """Base, new and their harmonic mean a data set, and the same of the averaged columns."""
    values = cells_of(results, headings(results, "base2new"))
    grid = _grid(results, values, ["base", "new"], datasets, "accuracy in per cent")
    cells, columns = dict(grid.cells), []
    for dataset in dict.fromkeys(c.dataset for c in grid.columns):
        columns += [Column(dataset, metric) for metric in ("base", "new", "H")]
        for method in grid.methods:
            halves = [grid.cell(method, Column(dataset, m)) for m in ("base", "new")]
            cells[method, Column(dataset, "H")] = combine(halves, lambda both: harmonic_mean(*both))
    note = grid.note + (
        "; H is the harmonic mean of base and new, computed for each seed, then averaged over "
        "seeds (for the average over data sets: of that seed's averaged base and new)"
    )
    return replace(grid, columns=columns, cells=cells, note=note)


def by_shots(results: list[dict[str, Any]], datasets: Sequence[str] = ()) -> Grid:
    """Accuracy by number of shots, a data set at a time; training on all images comes last.

    Zero-shot methods stand under each number of shots, or in a column of their own if there is
    none.
    """
    values, metrics = cells_of(results, headings(results, "fewshot")), _shots(results)
    return _grid(results, values, metrics, datasets, "accuracy in per cent on all classes")


def by_dataset(results: list[dict[str, Any]], datasets: Sequence[str] = ()) -> Grid:
    """Accuracy on each target of a transfer; on the source in a column of its own, if tested."""
    values = cells_of(results, headings(results, "cross_dataset"))
    sources = sorted({c for _, c in values if c.metric == "source accuracy"})
    targets = {key: cell for key, cell in values.items() if key[1] not in sources}
    asked = set(datasets) - {c.dataset for c in sources}
    note = "accuracy in per cent of prompts trained on the source alone"
    grid = _grid(results, targets, ["accuracy"], asked, note)
    return replace(grid, columns=[*sources, *grid.columns], cells=values | grid.cells)


MAKERS: dict[str, Callable[..., Grid]] = {
    "base2new": base_to_new,
    "fewshot": by_shots,
    "cross_dataset": by_dataset,
    "domain": by_dataset,
}


def make_grid(results: list[dict[str, Any]], protocol: str, datasets: Sequence[str] = ()) -> Grid:
    """The grid of a protocol, with notes on what was tested.

    Args:
        datasets: have columns even if no result is theirs.

    Raises:
        ValueError: two results for one cell and seed.
    """
    grid = MAKERS[protocol](results, datasets)
    remarks = (
        _zero_shot_note(results),
        _weights_note(results),
        untrained_classes(results),
        _skipped(results),
        few_classes(results),
        _other_split(results),
        unchecked(results),
    )
    return replace(grid, note="\n".join([grid.note, *filter(None, remarks)]))


def rows_of(methods: Iterable[str], grid: Grid) -> list[str]:
    """The rows of the methods asked for, in that order, with the marked rows behind a method's."""
    rows: list[str] = []
    for method in methods:
        marks = itertools.product(("", OTHER_BACKBONE), ("", CHOSEN_ON_TEST, UNTRAINED))
        own = [method + "".join(pair) for pair in marks]
        rows += [row for row in own if row in grid.methods] or [method]
    return list(dict.fromkeys(rows))


def cells_of(
    results: Sequence[Result], heads: Callable[[Result], Iterable[str]], measure: str = ""
) -> dict[tuple[str, Column], Cell]:
    """The cells that each results file fills by itself.

    Args:
        heads: the headings that a result stands under.
        measure: a key of results.json instead of accuracy, which each result has.

    Raises:
        ValueError: two results for one cell and seed.
    """
    holds = holding_for_every_seed(results)
    members = defaultdict(list)
    for r in results:
        for name in heads(r):
            members[row_label(r), Column(r["dataset"], name, measure)].append(r)
    cells = {}
    for (row, column), found in members.items():
        by_seed: dict[int, Result] = {}
        for r in sorted(found, key=lambda r: r["seed"]):
            first = by_seed.setdefault(r["seed"], r)
            if first is not r and not (holds(first) and holds(r)):
                _refuse_both(row, column, first, r)
            if is_zero_shot(found[0]) != is_zero_shot(r):
                _refuse_both(row, column, found[0], r)
        values = {seed: r[measure or "accuracy"] for seed, r in by_seed.items()}
        marked = any(r.get("new_is_zero_shot") for r in found)
        if holds(found[0]):
            cells[row, column] = Cell(dict([*values.items()][:1]), True, marked)
        else:
            cells[row, column] = Cell(values, False, marked)
    return cells


def _refuse_both(row: str, column: Column, first: Result, second: Result) -> NoReturn:
    raise ValueError(
        f"two results for one cell ({row}, {column.dataset} {column.metric}, seeds {first['seed']} "
        f"and {second['seed']}): {first['path']} and {second['path']}; name a narrower folder, or "
        "move one of them away"
    )


def _grid(
    results: Iterable[Result],
    values: Mapping[tuple[str, Column], Cell],
    metrics: list[str],
    asked: Iterable[str],
    note: str,
) -> Grid:
    """A grid of all data sets, with their average where there are several."""
    methods = list(dict.fromkeys(map(row_label, results)))
    datasets = sorted({column.dataset for _, column in values} | set(asked))
    cells = dict(values)
    if len(datasets) > 1:
        note += f"; average: over the {len(datasets)} data sets here, for the seeds that all have"
        for method in methods:
            for metric in metrics:
                parts = [values.get((method, Column(d, metric)), Cell()) for d in datasets]
                cells[method, Column(AVERAGE, metric)] = combine(parts, statistics.fmean)
        datasets.append(AVERAGE)
    columns = [Column(d, m) for d in datasets for m in metrics]
    return Grid(methods, columns, cells, note)


def _zero_shot_note(results: Sequence[Result]) -> str:
    holds = holding_for_every_seed(results)
    rows = dict.fromkeys(row_label(r) for r in results if holds(r))
    if not rows:
        return ""
    return (
        f"zero-shot ({', '.join(rows)}): nothing is trained, so one result (n=1) holds for every "
        "seed and number of shots, and stands beside each seed in averages and paired differences"
    )


def _weights_note(results: Sequence[Result]) -> str:
    """Which weights were tested, by rule and split."""
    methods: dict[str, dict[str, None]] = defaultdict(dict)
    for r in results:
        methods[_tested(r)][method_of(r)] = None
    groups = [f"{rule} ({', '.join(names)})" for rule, names in methods.items()]
    marked = any(row_label(r).endswith(CHOSEN_ON_TEST) for r in results)
    unranked = "; rows chosen on test images are not ranked" if marked else ""
    return f"weights: {'; '.join(groups)}{unranked}"


def _tested(r: Result) -> str:
    selection = r.get("selection")
    if is_zero_shot(r):
        return "nothing trained"
    if not selection:
        return "not recorded"
    rule, split = selection.get("rule"), selection.get("split")
    words = {
        "last_step": "last epoch",
        "best_val": "best",
        "epoch": f"epoch {selection.get('epoch')}",
        "initial": "untrained",
        "none": "nothing trained",
    }
    chosen = words.get(rule, rule or "chosen")
    tuned = selection.get("tuned")
    if rule != "best_val" and tuned:
        return f"{chosen}, hyper-parameters chosen on {tuned}"
    also = f", hyper-parameters on {tuned}" if tuned and tuned != split else ""
    return f"{chosen} on {split}{also}" if split else chosen


def untrained_classes(results: Iterable[Result]) -> str:
    """What the mark of such cells means, and whose they are; "" if there are none."""
    rows = dict.fromkeys(row_label(r) for r in results if r.get("new_is_zero_shot"))
    if not rows:
        return ""
    return (
        f"{UNTRAINED_CLASSES} among the classes are some that the method ({', '.join(rows)}) has "
        "learned nothing of: those are classified as zero-shot CLIP with its text side does"
    )


def few_classes(results: Iterable[Result]) -> str:
    """Which sides have but one class, where every answer is right; "" if none."""
    sides = {
        f"{r['dataset']} {r['subset']}"
        for r in results
        if len(r.get("made_of", {}).get("classes", "..")) < 2
    }
    return f"a single class is no result: {', '.join(sorted(sides))}" if sides else ""


def _other_split(results: Iterable[Result]) -> str:
    splits = {r.get("split") or "test" for r in results} - {"test"}
    return (
        f"measured on the {', '.join(sorted(splits))} images, not on test images" if splits else ""
    )


def _skipped(results: Iterable[Result]) -> str:
    """How many test images were left out, by method and data set."""
    counts: dict[str, set[int]] = defaultdict(set)
    for r in results:
        part = "" if r["subset"] == "all" else f" {r['subset']}"
        counts[f"{row_label(r)} on {r['dataset']}{part}"].add(r.get("skipped") or 0)
    found = [
        f"{min(numbers)}{f' to {max(numbers)}' if len(numbers) > 1 else ''} ({where})"
        for where, numbers in counts.items()
        if max(numbers)
    ]
    return f"test images skipped: {', '.join(found)}" if found else ""
