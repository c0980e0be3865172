"""Hyper-parameters searched on images that were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..config import Check, Setting, Settings
from .fit import settings_path
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
        """Features `(N, d)` and labels `(N,)` to search on; None for fixed values.

        Raises:
            ValueError: nobody has said which images these are.
        """
        split = self.cfg.TUNE
        if split != "none" and not hasattr(self, "encoded"):
            raise ValueError(
                f"{settings_path(self.name)}.TUNE {split!r}: there are no images to search on: set "
                "the model's `encoded` to what returns their features and labels, or use 'none'"
            )
        return None if split == "none" else self.encoded(split)


class BestEpoch(Tuned):
    """With `TUNE none` the weights of the last epoch are kept, else those of the last epoch with
    the best accuracy on the images."""

    best: Mapping[str, Any] = {}  # its accuracy, epoch and weights so far

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.TUNE != "none" and "weight_average" in check.settings.REGULARISERS:
            check.refuse("TUNE", "one epoch's weights are kept, so no weight_average: use 'none'")

    @torch.no_grad()
    def epoch_ended(self, epoch: int, epochs: int) -> None:
        images = self.tuning_images()
        if images is None:
            return
        found = accuracy(self(images[0]), images[1])
        if found >= self.best.get("accuracy", 0.0):
            weights = {k: v.clone() for k, v in self.prompt_learner.state_dict().items()}
            self.best = {"accuracy": found, "epoch": epoch, "weights": weights}

    def training_ended(self) -> None:
        if self.best:
            self.prompt_learner.load_state_dict(self.best["weights"])

    @property
    def chosen(self) -> dict[str, float]:
        return {"epoch": self.best["epoch"]} if self.best else {}

    def training_state(self) -> dict[str, Any]:
        return {"best": self.best} if self.best else {}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)


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
