"""Tip-Adapter-F: Tip-Adapter whose keys are trained on.

R. Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification",
ECCV 2022 (arXiv 2207.09519), section 3.2.
"""

from __future__ import annotations

from typing import Any

from .steps import Steps
from .tip_adapter import TipAdapter


class TipAdapterF(TipAdapter):
    """Tip-Adapter's logits; its cache is where the keys start, which are not normalised again.
    `alpha` and `beta` are searched, if at all, with the trained keys."""

    name = "TipAdapterF"
    trains = "the keys of a cache of the training images"
    fits_at_once = False
    steps = Steps(by_iteration=True, keep_last=True)

    def passes(self) -> int:
        return max(self.cfg.AUGMENTATIONS, self.cfg.VIEWS)

    def optimiser_arguments(self) -> dict[str, Any]:
        return {"eps": 1e-4}

    def training_ended(self) -> None:
        self.tune()
