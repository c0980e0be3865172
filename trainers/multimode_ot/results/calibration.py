"""How right a run is where it is so sure: bins of confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .predictions import Prediction

BINS = 15  # as many as the calibration error of results.json has


class Bin(NamedTuple):
    """Images whose confidence is above `low` and at most `high`; all but `images` in per cent."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def bins_of(predictions: Sequence[Prediction]) -> list[Bin]:
    """All bins of equal width; means of empty ones are NaN."""
    members: list[list[Prediction]] = [[] for _ in range(BINS)]
    for p in predictions:
        members[min(max(math.ceil(p.confidence * BINS) - 1, 0), BINS - 1)].append(p)
    found = []
    for i, inside in enumerate(members):
        means = [math.nan, math.nan]
        if inside:
            means[0] = 100 * sum(p.confidence for p in inside) / len(inside)
            means[1] = 100 * sum(p.right for p in inside) / len(inside)
        found.append(Bin(100 * i / BINS, 100 * (i + 1) / BINS, len(inside), *means))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """The mean gap of accuracy and confidence over images, in per cent (Guo et al., ICML 2017,
    equation 3)."""
    images = sum(b.images for b in bins)
    return sum(b.images * abs(b.accuracy - b.confidence) for b in bins if b.images) / images
