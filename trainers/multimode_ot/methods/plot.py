"""PLOT: several prompts a class, transported to the local features of the image.

G. Chen, W. Yao, X. Song, X. Li, Y. Rao, K. Zhang, "PLOT: Prompt Learning with Optimal Transport
for Vision-Language Models", ICLR 2023 (arXiv 2210.01253).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..backbone.encoders import encode_image, normalised
from ..config import Check, Setting, Settings
from .prompts import ContextLearner
from .transported import TransportedPrompts


class PLOT(TransportedPrompts):
    """`N` generic contexts. Local features are the attention pool's outputs on a ResNet (as
    published), and the projected patch tokens on a ViT."""

    name = "PLOT"
    trains = "several contexts, shared by all classes"
    learned = ("text",)
    local_plans = True
    settings: ClassVar[Settings] = {
        "N_CTX": Setting(16, "context vectors of a prompt", least=1),
        "CTX_INIT": Setting("", "accepted for CoOp's files; must be empty"),
    }

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CTX_INIT:
            check.refuse("CTX_INIT", "the prompts of PLOT start at random, so that they differ")

    def build_prompt_learner(self) -> ContextLearner:
        return ContextLearner(self.clip, self.cfg.N_CTX, copies=(self.cfg.N,))

    def image_features(self, images: Tensor) -> Tensor:
        """`(B, 1 + J, d)`, pooled and local, not normalised."""
        return encode_image(self.clip, images)[:, 0]

    def pooled(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        return normalised(image[:, 0]), normalised(text).transpose(0, 1)  # (B, d), (N, K, d)

    def transported(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Local features and prompts."""
        return normalised(image[:, 1:]), normalised(text)

    def beside(self, image: Tensor, text: Tensor) -> Tensor | None:
        if self.dataset != "ImageNet":  # the original adds the pooled similarity there
            return None
        return normalised(image[:, 0]) @ normalised(text.mean(1)).T
