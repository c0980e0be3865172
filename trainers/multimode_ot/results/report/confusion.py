"""Which classes a run confuses, and which it knows worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..predictions import Prediction

WHOLE = 12  # classes of a matrix; of more only those with the most errors are shown
WORST = 3


class Count(NamedTuple):
    """Images of a row's class that were taken for a column's."""

    images: int
    share: float
    right: bool


@dataclass(frozen=True)
class Matrix:
    """Rows are true classes, columns predicted ones; the last may be all others together."""

    columns: list[str]
    rows: list[tuple[str, list[Count]]]
    left_out: int


class WorstClass(NamedTuple):
    """A class with few right answers.

    Attributes:
        taken_for: the class that its images are most often taken for, and how many.
        wrong: those that are wrong, the surest first.
    """

    name: str
    right: int
    images: int
    taken_for: tuple[str, int]
    wrong: list[Prediction]


def confusion_matrix(predictions: Sequence[Prediction], name: Callable[[int], str]) -> Matrix:
    """The matrix of all classes, or of those with the most errors.

    Args:
        name: of a class, by its number.
    """
    pairs = Counter((p.label, p.prediction) for p in predictions)
    errors: Counter[int] = Counter()
    for (label, prediction), count in pairs.items():
        for number in (label, prediction):
            errors[number] += count if label != prediction else 0
    chosen = sorted(errors)
    if len(chosen) > WHOLE:
        chosen = sorted(number for number, _ in errors.most_common(WHOLE - 2))
    left_out = len(errors) - len(chosen)
    rows = []
    for label in chosen:
        total = sum(count for (own, _), count in pairs.items() if own == label)
        counts = [pairs[label, column] for column in chosen]
        if left_out:
            counts.append(total - sum(counts))
        own = chosen.index(label)
        row = [Count(n, n / total if total else 0.0, i == own) for i, n in enumerate(counts)]
        rows.append((name(label), row))
    others = [f"{left_out} others"] if left_out else []
    return Matrix([name(number) for number in chosen] + others, rows, left_out)


def worst_classes(
    predictions: Sequence[Prediction], name: Callable[[int], str]
) -> list[WorstClass]:
    """The classes with the smallest share of right answers, those with no error left out."""
    by_label: dict[int, list[Prediction]] = {}
    for p in predictions:
        by_label.setdefault(p.label, []).append(p)
    found = []
    for label, own in by_label.items():
        wrong = sorted((p for p in own if not p.right), key=lambda p: -p.confidence)
        if wrong:
            (other, count), *_ = Counter(p.prediction for p in wrong).most_common(1)
            taken_for = name(other), count
            found.append(WorstClass(name(label), len(own) - len(wrong), len(own), taken_for, wrong))
    return sorted(found, key=lambda w: (w.right / w.images, -w.images, w.name))[:WORST]
