"""Tip-Adapter-F: Tip-Adapter whose keys are trained on.

R. Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification",
ECCV 2022 (arXiv 2207.09519), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

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

    def unpacked(self, state: Any) -> Any:
        """Also the original's keys, the bare weight of a linear layer, `(N, d)`: of the images that
        the cache was made of, in their order."""
        bare = state.get("weight") if isinstance(state, Mapping) and len(state) == 1 else state
        return {"cache_keys": bare.detach()} if isinstance(bare, Tensor) else state
