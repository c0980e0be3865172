"""Gaussian-weighted average of the prompts over the epochs.

M. U. Khattak et al., "Self-regulating Prompts: Foundational Model Adaptation without Forgetting"
(PromptSRC), ICCV 2023 (arXiv 2307.06948), equations 6 and 7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..config import Check, Setting
from .base import Model, Regulariser

FARTHEST = 1_000_000  # epochs; squares of more are no numbers


class WeightAverage(Regulariser):
    """`theta = sum_a w_a theta_a` over epochs `a = 1 .. T`, `w_a` proportional to
    `exp(-((a - MEAN) / STD)^2 / 2)` and summing to 1, in float32 at least.

    Training goes on from the last step's prompts; the average takes their place when it has ended,
    before they are saved and tested.
    """

    settings: ClassVar[Mapping[str, Setting]] = {
        "MEAN": Setting(15.0, "epoch (from 1) that counts most"),
        "STD": Setting(1.0, "width of the weights in epochs", least=1e-3),
    }

    @classmethod
    def check_settings(cls, check: Check) -> None:
        if not abs(check.settings.MEAN) <= FARTHEST:
            check.refuse("MEAN", f"must be an epoch, {FARTHEST} at most")

    def __init__(self, settings: Any):
        super().__init__(settings)
        self.epochs = 0  # that are in the sum
        self.sum: dict[str, Tensor] = {}

    def training_starts(self, model: Model, epoch: int) -> None:
        """Raises `ValueError` where the checkpoint resumed from lacks the average of its epochs."""
        if epoch != self.epochs:
            raise ValueError(
                f"weight_average: the checkpoint of epoch {epoch} holds the average of "
                f"{self.epochs} epochs, so training cannot go on from it: start anew"
            )

    @torch.no_grad()
    def epoch_ended(self, model: Model, epoch: int, epochs: int) -> None:
        weight = gaussian_weights(epochs, self.cfg.MEAN, self.cfg.STD)[epoch - 1]
        for name, value in model.prompt_learner.named_parameters():
            part = weight * value.to(torch.promote_types(value.dtype, torch.float32))
            self.sum[name] = self.sum[name].to(part.device) + part if name in self.sum else part
        self.epochs = epoch

    @torch.no_grad()
    def training_ended(self, model: Model) -> None:
        for name, value in model.prompt_learner.named_parameters():
            value.copy_(self.sum[name])

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "sum": dict(self.sum)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epochs, self.sum = state["epochs"], dict(state["sum"])


def gaussian_weights(epochs: int, mean: float, std: float) -> list[float]:
    """`w_1 .. w_epochs`; far from `mean`, too, the nearest epoch has the largest one."""
    exponents = [-(((a - mean) / std) ** 2) / 2 for a in range(1, epochs + 1)]
    highest = max(exponents)
    values = [math.exp(e - highest) for e in exponents]
    return [value / sum(values) for value in values]
