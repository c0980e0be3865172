"""Two methods compared image by image, from the `predictions.csv` files beside their results.

* **McNemar's test** for each data set, column and seed, over that run's images: of those that just
  one method got right, `b` and `c`, the two-sided exact p is `min(1, 2 P(X <= min(b, c)))` with `X`
  binomial of `b + c` trials at 1/2 (McNemar, Psychometrika 1947). It speaks of these two trained
  models. Seeds are not pooled, because they share their test images.
* **Bootstrap** for each data set and column, and for their average, over images and seeds: the
  difference of the two accuracies (of base to new also of the harmonic means, taken for each seed),
  averaged over seeds. One resample draws as many images of each data set, and as many seeds, as
  there are, with replacement and independently of each other (Owen, "The pigeonhole bootstrap",
  Annals of Applied Statistics 2007); an image keeps its answers of all seeds, a seed its runs on
  all data sets. Percentile interval, 95%, from a fixed seed. With one seed it is over images alone;
  with two or three it is rough, since so few seeds tell little of others.

A result that holds for every seed stands beside each seed of the other method.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from .fields import AVERAGE
from .grid import Grid
from .predictions import Image, predictions_beside, read_right
from .protocol_tables import headings
from .tree import holding_for_every_seed, row_label

if TYPE_CHECKING:
    import numpy as np

Result = Mapping[str, Any]
Cell = tuple[str, str]  # data set, heading
Answers = dict[int, list[tuple[bool, bool]]]  # by seed: of each image, whether both were right


class McNemar(NamedTuple):
    """Counts of images that only one of two methods got right, and the exact two-sided p."""

    seed: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class ImageComparison:
    """`first - second` on the same images, in percentage points, with a 95% interval.

    Attributes:
        images: of all data sets that it is over.
        tests: by seed; none of averages and harmonic means.
    """

    dataset: str
    metric: str
    images: int
    seeds: tuple[int, ...]
    difference: float
    low: float
    high: float
    tests: tuple[McNemar, ...] = ()


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p of as uneven a split as this, if either side is as likely."""
    trials = only_first + only_second
    term = tail = 1  # of (0, trials), then further
    for k in range(min(only_first, only_second)):
        term = term * (trials - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**trials)


def compare_images(
    grid: Grid,
    protocol: str,
    results: Sequence[Result],
    names: Sequence[str],
    resamples: int = 2000,
) -> tuple[list[ImageComparison], str]:
    """All comparisons that the files allow, and a remark on results without a file ("" if none).

    Args:
        results: what the grid is made of.
        names: two rows of the grid.

    Raises:
        ValueError: a damaged file, one that is of another evaluation than its result, or two of
            other images; both are named.
    """
    pairs, without = _paired_results(grid, protocol, results, names)
    answers = {cell: _answers(by_seed) for cell, by_seed in pairs.items()}
    found = _comparisons(grid, protocol, answers, resamples)
    remark = ""
    if without:
        count = f"{len(without)} result{'s' if len(without) > 1 else ''}"
        remark = (
            f"not compared image by image: there is no predictions.csv beside {count}, such as "
            f"{without[0]}"
        )
    return found, remark


def _paired_results(
    grid: Grid, protocol: str, results: Sequence[Result], names: Sequence[str]
) -> tuple[dict[Cell, dict[int, tuple[Result, Result]]], list[str]]:
    """By cell and seed, the two results that have predictions; and the paths of those without."""
    heads, holds = headings(results, protocol), holding_for_every_seed(results)
    cells: dict[Cell, list[dict[int | None, Result]]] = defaultdict(lambda: [{}, {}])
    without: dict[str, None] = {}
    for r in results:
        for side, name in enumerate(names):
            if row_label(r) != name:
                continue
            if predictions_beside(r) is None:
                without[r["path"]] = None
                continue
            for head in heads(r):
                by_seed = cells[r["dataset"], head][side]
                by_seed.setdefault(None if holds(r) else r["seed"], r)
    shown = {(column.dataset, column.metric) for column in grid.columns}
    pairs = {}
    for cell, (first, second) in cells.items():
        seeds = {seed for side in (first, second) for seed in side if seed is not None}
        if not seeds and first and second:  # nothing is trained on either side
            seeds = {min(side[None]["seed"] for side in (first, second))}
        both = {
            seed: (first.get(seed) or first.get(None), second.get(seed) or second.get(None))
            for seed in sorted(seeds)
        }
        complete = {seed: (a, b) for seed, (a, b) in both.items() if a and b}
        if complete and cell in shown:
            pairs[cell] = complete
    return pairs, list(without)


def _answers(by_seed: Mapping[int, tuple[Result, Result]]) -> Answers:
    """For each seed, whether the two methods were right, over images in one order."""
    order: list[Image] = []
    source: Path | None = None
    known: dict[Path, dict[Image, bool]] = {}
    answers: Answers = {}
    for seed, pair in by_seed.items():
        sides = []
        for result in pair:
            file = cast(Path, predictions_beside(result))  # of others there is no pair
            right = known[file] = known.get(file) or read_right(file, result)
            if source is None:
                order, source = list(right), file
            if right.keys() != known[source].keys():
                _refuse_other_images(source, known[source].keys(), file, right.keys())
            sides.append([right[image] for image in order])
        answers[seed] = list(zip(*sides, strict=True))
    return answers


def _refuse_other_images(
    first: Path, there: Set[Image], second: Path, here: Set[Image]
) -> NoReturn:
    apart = min(there ^ here)
    raise ValueError(
        f"{first} and {second} are of other images and cannot be compared: {apart[0]!r} with label "
        f"{apart[1]} is in {'the first' if apart in there else 'the second'} alone"
    )


def _comparisons(
    grid: Grid, protocol: str, answers: Mapping[Cell, Answers], resamples: int
) -> list[ImageComparison]:
    found = []
    for dataset in dict.fromkeys(c.dataset for c in grid.columns):
        metrics = [c.metric for c in grid.columns if c.dataset == dataset and not c.measure]
        for metric in metrics:
            halves = ("base", "new") if metric == "H" else (metric,)
            datasets = grid.datasets(metric) if dataset == AVERAGE else [dataset]
            parts = [[answers.get((d, half), {}) for d in datasets] for half in halves]
            seeds = sorted(set.intersection(*(set(each) for part in parts for each in part)))
            if not seeds:
                continue
            draws = Bootstrap(parts, seeds, resamples)
            low, high = draws.interval()
            tests: tuple[McNemar, ...] = ()
            if dataset != AVERAGE and metric != "H":
                tests = tuple(_test(seed, parts[0][0][seed]) for seed in seeds)
            found.append(
                ImageComparison(
                    dataset,
                    metric,
                    draws.images,
                    tuple(seeds),
                    draws.difference(),
                    low,
                    high,
                    tests,
                )
            )
    return found


def _test(seed: int, answers: Sequence[tuple[bool, bool]]) -> McNemar:
    counts = Counter(answers)
    b, c = counts[True, False], counts[False, True]
    return McNemar(seed, b, c, exact_mcnemar(b, c))


class Bootstrap:
    """The bootstrap of one comparison.

    Axes: `R` resamples, `S` seeds, `P` patterns: what an image's answers may be over all seeds.

    Args:
        parts: for each half (base and new, or one) and each data set, the answers.
        seeds: that all of them have.
    """

    def __init__(self, parts: Sequence[Sequence[Answers]], seeds: Sequence[int], resamples: int):
        import numpy as np  # which is as heavy as all else together

        self.random = np.random.default_rng(0)
        self.seeds, self.resamples = len(seeds), resamples
        self.images = 0
        self.halves = [[self._patterns(each, seeds) for each in part] for part in parts]

    def _patterns(self, answers: Answers, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Images that have the same answers over all seeds are one pattern with a count.

        Returns:
            `(P, S, 2)` of 0 and 1, and `(P,)` counts.
        """
        import numpy as np

        counts = Counter(zip(*(answers[seed] for seed in seeds), strict=True))
        self.images += sum(counts.values())
        patterns = sorted(counts)  # so that the order of the images changes no draw
        return np.array(patterns, dtype=float), np.array([counts[each] for each in patterns])

    def difference(self) -> float:
        """Of the images and seeds that there are."""
        halves = [
            [_accuracies(patterns, counts[None] / counts.sum())[0] for patterns, counts in part]
            for part in self.halves
        ]
        return statistics.fmean(self._measure(halves))

    def _measure(self, halves: Any) -> Any:
        """`(..., S)` differences from accuracies `(..., S, 2)` of each half and data set."""
        means = [sum(part) / len(part) for part in halves]
        value = means[0] if len(means) == 1 else _harmonic(*means)
        return 100 * (value[..., 0] - value[..., 1])

    def interval(self) -> tuple[float, float]:
        import numpy as np

        halves = []
        for part in self.halves:
            drawn = []
            for patterns, counts in part:
                images = counts.sum()
                often = self.random.multinomial(images, counts / images, self.resamples)
                drawn.append(_accuracies(patterns, often / images))
            halves.append(drawn)
        by_seed = self._measure(halves)  # (R, S)
        often = self.random.multinomial(self.seeds, [1 / self.seeds] * self.seeds, self.resamples)
        means = (by_seed * often).sum(-1) / self.seeds
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)


def _accuracies(patterns: Any, weights: Any) -> Any:
    """Accuracies `(R, S, 2)` of patterns `(P, S, 2)` with weights `(R, P)`."""
    return (weights @ patterns.reshape(len(patterns), -1)).reshape(-1, *patterns.shape[1:])


def _harmonic(base: Any, new: Any) -> Any:
    """`harmonic_mean` of arrays."""
    total = base + new
    return 2 * base * new / (total + (total == 0))
