"""CLAP: a linear probe on CLIP's features, constrained to stay near its text features.

J. Silva-Rodriguez, S. Hajimiri, I. Ben Ayed, J. Dolz, "A Closer Look at the Few-Shot Adaptation of
Large Vision-Language Models", CVPR 2024 (arXiv 2312.12730).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import Check, Original, Setting, Settings
from ..regularisers import Seen
from .zslp import ZSLP

DISTANCES = ("l2", "cosine")
VARIANTS = ("balanced", "corrected", "constant", "adaptative")
WORDS = re.compile("|".join((*DISTANCES, *VARIANTS, "none")))


class CLAP(ZSLP):
    """ZS-LP whose loss adds `mean_k a_k |w_k - T_k|^2`: the prototypes stay near the text features
    of those classes that zero-shot CLIP recognises, whose multipliers `a_k` are large."""

    name = "CLAP"
    settings: ClassVar[Settings] = {
        "CONSTRAINT": Setting(
            "l2",
            "'none' (ZS-LP), or the distance: l2 or cosine, with _balanced (all multipliers 1), "
            "_corrected (their mean is 1), _constant (all are their mean), _adaptative (they grow "
            "with the distances, each epoch)",
        ),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        **ZSLP.originals,
        "TRAINER.ADAPTER.CONSTRAINT": Original("CONSTRAINT"),
    }
    multipliers: Tensor | None = None  # (C,); 1 until there are images
    penalties: Tensor | None = None  # (C,), what `adaptative` multiplies distances by

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        named = check.settings.CONSTRAINT
        words = WORDS.findall(named)
        known = not WORDS.sub("", named).strip("_- ") and len(set(words)) == len(words)
        known = known and "none" not in words
        if named != "none" and not (known and len({*words} & {*DISTANCES}) == 1):
            check.refuse(
                "CONSTRAINT",
                f"must be 'none', or {' or '.join(DISTANCES)} and any of {', '.join(VARIANTS)}, "
                "such as 'l2_balanced'",
            )

    @property
    def words(self) -> list[str]:
        """Of `CONSTRAINT`: the original looks for them anywhere in it, whatever is between."""
        return WORDS.findall(self.cfg.CONSTRAINT)

    @torch.no_grad()
    def collect(self, features: Tensor, labels: Tensor) -> None:
        """A class's multiplier is the mean chance that zero-shot CLIP gives it on its images."""
        text = self.text_side()
        count = torch.bincount(labels, minlength=len(text)).clamp(min=1) * len(features)
        mean = text.new_zeros(len(text))
        for view in features:
            chances = self.logits(view, text).softmax(-1).gather(1, labels[:, None])[:, 0]
            mean.index_add_(0, labels, chances / count[labels])
        if "balanced" in self.words:
            mean = torch.ones_like(mean)
        if "corrected" in self.words:
            mean = mean * len(mean) / mean.sum()
        if "constant" in self.words:
            mean = mean.mean().expand(len(mean))
        self.multipliers = self.by_row(mean)

    def loss_terms(self, seen: Seen) -> dict[str, Tensor]:
        terms = super().loss_terms(seen)
        if self.words != ["none"]:
            terms["constraint"] = self.constraint(seen.text)
        return terms

    def constraint(self, prototypes: Tensor) -> Tensor:
        """Equation 11 for prototypes `(K, d)`, with a mean over the classes; a scalar."""
        text = self.text_side()
        if "cosine" in self.words:
            distances = 1 - F.cosine_similarity(prototypes, text)
        else:
            distances = (prototypes - text).square().sum(-1)
        if self.multipliers is not None:
            distances = distances * self.of_classes(self.multipliers, distances.new_zeros(()))
        return distances.mean()

    @torch.no_grad()
    def epoch_ended(self, epoch: int, epochs: int) -> None:
        """The outer step of `adaptative`: `a <- max(a + rho h, 0)`, then `rho <- h`, the squared
        distances; `rho` starts at 0."""
        if "adaptative" not in self.words:
            return
        distances = self.by_row((self.class_features() - self.text_side()).square().sum(-1))
        if self.multipliers is None:
            self.multipliers = torch.ones_like(distances)
        if self.penalties is not None:
            self.multipliers = (self.multipliers + self.penalties * distances).clamp(min=0)
        self.penalties = distances

    def training_state(self) -> dict[str, Any]:
        state = {"multipliers": self.multipliers, "penalties": self.penalties}
        return {key: value for key, value in state.items() if value is not None}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value.to(self.device))
