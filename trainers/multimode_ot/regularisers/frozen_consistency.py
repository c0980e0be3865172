"""Features and logits kept near those of frozen CLIP.

M. U. Khattak et al., "Self-regulating Prompts: Foundational Model Adaptation without Forgetting"
(PromptSRC), ICCV 2023 (arXiv 2307.06948), equations 3 to 5, with the means that the authors'
program takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..backbone.templates import ENSEMBLE_TEMPLATES
from ..config import Setting
from .base import Model, Regulariser, Seen


class FrozenConsistency(Regulariser):
    """`TEXT_WEIGHT mean |h - h0| + IMAGE_WEIGHT mean |z - z0| + LOGITS_WEIGHT KL(q || l) / (B K)`.

    The first two are means over all entries of the learned features `h` of text and `z` of images,
    over modes too, against frozen CLIP's: `h0` the normalised mean of 60 templates, `z0` that of
    the same augmented image. `KL` is summed over images, from the softmax of the teacher's logits
    `q = exp(logit_scale) z0 h0^T` to that of the method's own `l`. A side on which nothing is
    learned has no term.
    """

    settings: ClassVar[Mapping[str, Setting]] = {
        "TEXT_WEIGHT": Setting(25.0, "weight of the text features' distance", least=0),
        "IMAGE_WEIGHT": Setting(10.0, "weight of the image features' distance", least=0),
        "LOGITS_WEIGHT": Setting(1.0, "weight of the logits' divergence", least=0),
    }

    def loss_terms(self, seen: Seen) -> Mapping[str, Tensor]:
        model, cfg, terms = seen.model, self.cfg, {}
        image, text = seen.pooled
        if text.requires_grad and cfg.TEXT_WEIGHT:
            distance = (text - self.frozen_text(model)).abs().mean()
            terms["text_consistency"] = cfg.TEXT_WEIGHT * distance
        if image.requires_grad and cfg.IMAGE_WEIGHT:
            distance = (image - seen.frozen_image).abs().mean()
            terms["image_consistency"] = cfg.IMAGE_WEIGHT * distance
        if cfg.LOGITS_WEIGHT:
            teacher = model.logit_scale * seen.frozen_image @ self.frozen_text(model).T  # (B, K)
            own, frozen = seen.logits.log_softmax(-1), teacher.log_softmax(-1)
            divergence = F.kl_div(own, frozen, reduction="sum", log_target=True)
            terms["logit_consistency"] = cfg.LOGITS_WEIGHT * divergence / own.numel()
        return terms

    @staticmethod
    def frozen_text(model: Model) -> Tensor:
        """`h0`, `(K, d)`."""
        return model.frozen_text(ENSEMBLE_TEMPLATES, unit=False)
