"""Steps that never go against agreement with zero-shot CLIP.

B. Zhu, Y. Niu, Y. Han, Y. Wu, H. Zhang, "Prompt-aligned Gradient for Prompt Tuning" (ProGrad),
ICCV 2023 (arXiv 2205.14865), equation 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..backbone.templates import PROGRAD_TEMPLATES, dataset_template
from ..config import Setting
from .base import Regulariser, Seen


class GradientProjection(Regulariser):
    """For each trained tensor with the gradient `g` of the loss, and the direction `u` of the
    gradient of the guide: `g - LAMBDA <g, u> u` where `<g, u> < 0`.

    The guide is the cross-entropy of the logits with zero-shot CLIP's soft labels at temperature
    `T`: `-(T^2 / B) sum_b sum_k softmax(q_b / T)_k log_softmax(l_b / T)_k`. CLIP sees the same
    augmented images, in float32 whatever the towers compute in.
    """

    settings: ClassVar[Mapping[str, Setting]] = {
        "LAMBDA": Setting(1.0, "share of the conflicting part that is removed", least=0),
        "T": Setting(1.0, "temperature of the soft labels", above=0),
    }

    def guide(self, seen: Seen) -> Tensor:
        model, temperature = seen.model, self.cfg.T
        template = dataset_template(model.dataset, PROGRAD_TEMPLATES)
        text = model.frozen_text((template,))  # (K, d)
        teacher = model.logit_scale * seen.wide_frozen_image @ text.T  # (B, K)
        agreement = (teacher / temperature).softmax(-1) * (seen.logits / temperature).log_softmax(
            -1
        )
        return -(temperature**2) * agreement.sum(-1).mean()

    @torch.no_grad()
    def change_gradients(self, trained: Sequence[Tensor], guide: Sequence[Tensor | None]) -> None:
        for tensor, r in zip(trained, guide, strict=True):
            if r is None or tensor.grad is None:
                continue
            u = r / r.norm()
            along = (tensor.grad * u).sum()
            # Of a guide without a direction `u` is NaN, which is not below 0: the gradient stays.
            projected = tensor.grad - self.cfg.LAMBDA * along * u
            tensor.grad = torch.where(along < 0, projected, tensor.grad)
