"""From `results.json` files to a grid of methods by metrics, with a value for each seed.

Nothing is averaged away: a column's mean over data sets exists for a seed only if every data set
has that seed, and two configurations never share a cell.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .results import FILE_NAME, harmonic_mean, read_results

AVERAGE = "average"
DOMAINS = ("ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
# The folder of the output layout that holds a protocol's evaluations.
FOLDERS = {
    "base2new": "base2new",
    "fewshot": "fewshot",
    "cross_dataset": "evaluation",
    "domain": "evaluation",
}


class Column(NamedTuple):
    dataset: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """One value a seed, in per cent."""

    by_seed: Mapping[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """NaN if there is no run."""
        return statistics.fmean(self.by_seed.values()) if self.by_seed else math.nan

    def spread(self, interval: str) -> float:
        """`std`: population standard deviation, as the ecosystem's parser prints it; `ci95`: half
        the 95% interval of the mean by Student's t. NaN where it is not defined."""
        values = list(self.by_seed.values())
        if interval == "std":
            return statistics.pstdev(values) if values else math.nan
        if len(values) < 2:
            return math.nan
        from scipy.stats import t

        return t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Grid:
    """Methods by columns, and a note that says how the numbers were made."""

    methods: list[str]
    columns: list[Column]
    cells: dict[tuple[str, Column], Cell]
    note: str

    def cell(self, method: str, column: Column) -> Cell:
        return self.cells.get((method, column), Cell())


def collect(output: Path, protocol: str) -> list[dict[str, Any]]:
    """The results of one protocol below `output`; each gets its file as `path`.

    Raises:
        FileNotFoundError: there are none.
    """
    found = []
    for file in sorted(output.rglob(FILE_NAME)):
        parts = (output.name, *file.relative_to(output).parts)
        if any(part.startswith(".") for part in parts[1:]) or FOLDERS[protocol] not in parts:
            continue
        result = read_results(file)
        in_domain = result["dataset"] in DOMAINS
        if FOLDERS[protocol] != "evaluation" or in_domain == (protocol == "domain"):
            found.append(result | {"path": str(file)})
    if not found:
        raise FileNotFoundError(f"{output} has no {FILE_NAME} of the protocol {protocol!r}")
    return found


def require_one_configuration(results: Iterable[Mapping[str, Any]]) -> None:
    """Raise `ValueError` if runs differ in more than method, seed, data set and classes.

    Within a method and data set the whole config must agree; between methods what all must share:
    backbone, input, test split, shots.
    """
    seen: dict[tuple, tuple[str, str]] = {}
    for r in results:
        common, _, _ = r["config_hash"].partition("-")
        own = (r["method"], r["dataset"], r["shots"])
        for key, digest in ((own, r["config_hash"]), ((r["dataset"],), common)):
            first = seen.setdefault(key, (digest, r["path"]))
            if first[0] != digest:
                raise ValueError(
                    f"two configurations in one table ({first[0]} in {first[1]}, {digest} in "
                    f"{r['path']}): name a narrower folder, or allow it with --mix"
                )


def base_to_new(results: list[dict[str, Any]]) -> Grid:
    """Base, new and their harmonic mean a data set, and the same of the averaged columns."""
    values = _by_seed(results, lambda r: Column(r["dataset"], r["subset"]))
    grid = _grid(values, ["base", "new"], "accuracy in per cent; ")
    cells, columns = dict(grid.cells), []
    datasets = list(dict.fromkeys(c.dataset for c in grid.columns))
    for dataset in datasets:
        columns += [Column(dataset, metric) for metric in ("base", "new", "H")]
        for method in grid.methods:
            base, new = (grid.cell(method, Column(dataset, m)).by_seed for m in ("base", "new"))
            means = {s: harmonic_mean(base[s], new[s]) for s in base if s in new}
            cells[method, Column(dataset, "H")] = Cell(means)
    note = grid.note + (
        "H is the harmonic mean of base and new, computed for each seed, then averaged over seeds "
        "(for the average over data sets: of that seed's averaged base and new)"
    )
    return Grid(grid.methods, columns, cells, note)


def by_shots(results: list[dict[str, Any]]) -> Grid:
    """Accuracy by number of shots, a data set at a time."""
    shots = sorted({r["shots"] for r in results if r["shots"] > 0})
    trained = [r for r in results if r["shots"] > 0]
    values = _by_seed(trained, lambda r: Column(r["dataset"], f"{r['shots']} shots"))
    for r in results:  # zero-shot results hold for every number of shots
        if r["shots"] <= 0:
            for number in shots:
                key = r["method"], Column(r["dataset"], f"{number} shots")
                values.setdefault(key, {})[r["seed"]] = r["accuracy"]
    return _grid(values, [f"{n} shots" for n in shots], "accuracy in per cent on all classes")


def by_dataset(results: list[dict[str, Any]]) -> Grid:
    """Accuracy on each target of a transfer."""
    values = _by_seed(results, lambda r: Column(r["dataset"], "accuracy"))
    return _grid(
        values, ["accuracy"], "accuracy in per cent of prompts trained on the source alone"
    )


MAKERS: dict[str, Callable[[list[dict[str, Any]]], Grid]] = {
    "base2new": base_to_new,
    "fewshot": by_shots,
    "cross_dataset": by_dataset,
    "domain": by_dataset,
}


def _by_seed(
    results: Iterable[Mapping[str, Any]], column: Callable[[Mapping[str, Any]], Column]
) -> dict[tuple[str, Column], dict[int, float]]:
    values: dict[tuple[str, Column], dict[int, float]] = {}
    for r in results:
        values.setdefault((r["method"], column(r)), {})[r["seed"]] = r["accuracy"]
    return values


def _grid(
    values: Mapping[tuple[str, Column], Mapping[int, float]], metrics: list[str], note: str
) -> Grid:
    """A grid of all data sets, with their average where there are several."""
    methods = list(dict.fromkeys(method for method, _ in values))
    datasets = sorted({column.dataset for _, column in values})
    cells = {key: Cell(dict(seeds)) for key, seeds in values.items()}
    if len(datasets) > 1:
        for method in methods:
            for metric in metrics:
                parts = [values.get((method, Column(d, metric)), {}) for d in datasets]
                complete = set(parts[0]).intersection(*parts[1:])
                cells[method, Column(AVERAGE, metric)] = Cell(
                    {s: statistics.fmean(p[s] for p in parts) for s in sorted(complete)}
                )
        datasets.append(AVERAGE)
    columns = [Column(d, m) for d in datasets for m in metrics]
    return Grid(methods, columns, cells, note)


class PairedDifference(NamedTuple):
    """`first - second`, in percentage points."""

    metric: str
    mean: float
    low: float
    high: float
    pairs: int


def paired_differences(
    grid: Grid, first: str, second: str, resamples: int = 10_000
) -> list[PairedDifference]:
    """Differences of two methods over data sets and seeds, with a 95% bootstrap interval.

    Pairs are resampled with replacement; the percentile interval comes from a fixed seed.

    Raises:
        ValueError: a method that is not in the table, or no common run.
    """
    for name in (first, second):
        if name not in grid.methods:
            raise ValueError(f"{name!r} is not in the table: it has {', '.join(grid.methods)}")
    found = []
    for metric in dict.fromkeys(c.metric for c in grid.columns):
        differences = []
        for column in grid.columns:
            if column.metric == metric and column.dataset != AVERAGE:
                a, b = (grid.cell(m, column).by_seed for m in (first, second))
                differences += [a[s] - b[s] for s in a if s in b]
        if not differences:
            continue
        draw = random.Random(0)
        means = sorted(
            statistics.fmean(draw.choices(differences, k=len(differences)))
            for _ in range(resamples)
        )
        low, high = means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]
        mean = statistics.fmean(differences)
        found.append(PairedDifference(metric, mean, low, high, len(differences)))
    if not found:
        raise ValueError(f"{first} and {second} have no data set and seed in common")
    return found
