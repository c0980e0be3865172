"""Hyper-parameters searched on images that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..config import Setting, Settings
from .on_features import OnFeatures


class Tuned(OnFeatures):
    """`TUNE none` takes the fixed values, `val` searches on the few-shot validation images, `test`
    on the test images, as some originals do, for comparison with them: results then say that they
    were selected on test, and tables mark them."""

    settings: ClassVar[Settings] = {
        "TUNE": Setting(
            "none",
            "images on which hyper-parameters are searched; 'test' is what some originals do, and "
            "its results are marked",
            one_of=("none", "val", "test"),
        ),
    }

    def tuning_images(self) -> tuple[Tensor, Tensor] | None:
        """Features `(N, d)` and labels `(N,)` to search on; None for fixed values."""
        return None if self.cfg.TUNE == "none" else self.encoded(self.cfg.TUNE)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of `(B, K)` logits whose largest is at the label."""
    return (logits.argmax(-1) == labels).double().mean().item()


def nearest_best(points: Sequence[Sequence[float]], hits: Sequence[float], fixed: Sequence[float]):
    """Of the points of a grid with the most hits, the one nearest to the fixed values.

    A few dozen validation images tie all the time; distance is measured in logarithms, as such
    values are scales.

    Args:
        points: of positive numbers, as many in each as in `fixed`.
    """
    best = max(hits)
    tied = torch.tensor([p for p, hit in zip(points, hits, strict=True) if hit == best])
    distance = (tied.log() - torch.tensor(fixed).log()).abs().sum(-1)
    return tuple(tied[distance.argmin()].tolist())
