"""How long runs take, from times of single steps. Plain arithmetic; `step_times` measures."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fewshot_datasets import READERS
from fewshot_datasets.findings import Finding
from multimode_ot.methods import find_method
from multimode_ot.results.published_sizes import SIZES, classes_of
from runs import Run
from yacs.config import CfgNode


class Times(NamedTuple):
    """Seconds of a training step, of preparing the classes for a test, of one tested image, and of
    what is done before the steps with each training image."""

    step: float
    classes: float
    image: float
    once: float = 0.0


class Size(NamedTuple):
    """Classes of a data set, and images in its training and test split."""

    classes: int
    train: int
    test: int


class Duration(NamedTuple):
    """Seconds of one run's training and test."""

    training: float
    test: float

    @property
    def whole(self) -> float:
        return self.training + self.test


@dataclass(frozen=True)
class Curve:
    """Times by the number of classes, measured at some."""

    points: Mapping[int, Times]

    def at(self, classes: int) -> Times:
        """On the line through the two nearest points, and on from the last ones; never less than
        the least that was measured."""
        known = sorted(self.points)
        if len(known) == 1:
            return self.points[known[0]]
        place = min(max(bisect_left(known, classes), 1), len(known) - 1)
        low, high = known[place - 1], known[place]
        share = (classes - low) / (high - low)
        values = [
            max(a + share * (b - a), min(a, b) if 0 <= share <= 1 else min(self._all(i)))
            for i, (a, b) in enumerate(zip(self.points[low], self.points[high], strict=True))
        ]
        return Times(*values)

    def _all(self, i: int) -> list[float]:
        return [times[i] for times in self.points.values()]


def sizes(findings: Sequence[Finding]) -> dict[str, Size]:
    """By config name: what was found, else what is published; nothing of others."""
    known = {}
    for name, reader in READERS.items():
        published = reader.published_sizes
        if published and reader.__name__ in SIZES:
            known[name] = Size(SIZES[reader.__name__][0], published[0], published[2])
    for f in findings:
        if f.images and f.classes:
            known[f.name] = Size(f.classes, f.images[0], f.images[2])
    return known


def size_of(run: Run, known: Mapping[str, Size]) -> Size | None:
    """What a run trains on and tests: of the classes that it has; None of an unknown data set."""
    whole = known.get(run.dataset or run.job.dataset)
    if whole is None:
        return None
    pairs = dict(zip(run.options[::2], run.options[1::2], strict=True))
    classes = classes_of(whole.classes, pairs.get("DATASET.SUBSAMPLE_CLASSES", "all"))
    share = classes / whole.classes
    train = round(whole.train * share)
    if run.job.shots > 0:
        train = min(train, classes * run.job.shots)
    return Size(classes, train, round(whole.test * share))


def duration(run: Run, cfg: CfgNode, size: Size, times: Times) -> Duration:
    """Of one run."""
    test = times.classes + size.test * times.image
    if run.model is not None or not run.trains:
        return Duration(0.0, test)
    return Duration(size.train * times.once + steps(run, cfg, size.train) * times.step, test)


def steps(run: Run, cfg: CfgNode, images: int) -> int:
    """How many steps a run's training on so many images takes.

    Loaders drop the last part of a batch unless it is the only one, or the method keeps it.
    """
    method = find_method(cfg.TRAINER.NAME)
    if method.steps.per_shot:
        return cfg.TRAINER[method.name.upper()][method.steps.per_shot] * run.job.shots
    whole, part = divmod(images, cfg.DATALOADER.TRAIN_X.BATCH_SIZE)
    kept = bool(part) and (method.steps.keep_last or not whole)
    return cfg.OPTIM.MAX_EPOCH * (whole + kept)


def words(seconds: float) -> str:
    """A duration as people say it: `40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for unit, length, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds < most * length:
            digits = 1 if unit == "h" else 0
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
