"""Which test images are explained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from ..results.predictions import Prediction


class Choice(NamedTuple):
    """Attributes:
    images: those chosen, in the order of `predictions.csv`.
    rule: how, as a sentence.
    """

    images: list[Prediction]
    rule: str


def choose_images(predictions: Sequence[Prediction], count: int, seed: int) -> Choice:
    """`count` images, half of them wrongly predicted as far as there are so many, and the other way
    round; drawn without regard to class or confidence.

    Raises:
        ValueError: a count below one.
    """
    if count < 1:
        raise ValueError(f"--count {count}: must be at least 1")
    right = [i for i, p in enumerate(predictions) if p.right]
    wrong = [i for i, p in enumerate(predictions) if not p.right]
    wanted = min(len(wrong), max(count // 2, count - len(right)))
    draw = random.Random(seed)
    picked = draw.sample(wrong, wanted) + draw.sample(right, min(len(right), count - wanted))
    rule = (
        f"{len(picked)} of {len(predictions)} test images, drawn with seed {seed}: {wanted} of the "
        f"{len(wrong)} wrongly predicted ones, {len(picked) - wanted} of the {len(right)} rightly "
        "predicted ones"
    )
    if wanted * len(predictions) > len(wrong) * len(picked):
        rule += ", so wrong ones are shown more often than they occur"
    return Choice([predictions[i] for i in sorted(picked)], rule)
