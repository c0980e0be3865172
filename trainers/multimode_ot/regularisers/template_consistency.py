"""Text features kept near those of a hand-written prompt.

H. Yao, R. Zhang, C. Xu, "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization"
(KgCoOp), CVPR 2023 (arXiv 2303.13283), equation 4, with cosines, as the authors' program computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ..backbone.templates import KGCOOP_TEMPLATES, dataset_template
from ..config import Setting
from .base import Regulariser, Seen


class TemplateConsistency(Regulariser):
    """`WEIGHT (1 - mean_k <h_k, h0_k>)`, also averaged over modes: `h` the learned text features,
    `h0` frozen CLIP's of the data set's template, over all classes."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "WEIGHT": Setting(8.0, "weight of the term", above=0)
    }

    @classmethod
    def unfit(cls, method: Any) -> str:
        if method.trains and "text" not in method.learned:
            return "its text features are not learned"
        return super().unfit(method)

    def loss_terms(self, seen: Seen) -> Mapping[str, Tensor]:
        template = dataset_template(seen.model.dataset, KGCOOP_TEMPLATES)
        frozen = seen.model.frozen_text((template,))  # (K, d)
        _, text = seen.pooled
        cosines = (text * frozen).sum(-1)  # (..., K)
        return {"template_consistency": self.cfg.WEIGHT * (1 - cosines.mean())}
