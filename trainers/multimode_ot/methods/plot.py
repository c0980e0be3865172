"""PLOT: several prompts a class, transported to the local features of the image.

G. Chen, W. Yao, X. Song, X. Li, Y. Rao, K. Zhang, "PLOT: Prompt Learning with Optimal Transport
for Vision-Language Models", ICLR 2023 (arXiv 2210.01253).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..backbone.encoders import encode_image, normalised
from ..backbone.packed_text import PackedClasses
from ..config import Check, Setting, Settings
from ..transport import Sinkhorn
from ..transport.token_level import LARGEST_COST, token_transport
from .base import PromptedCLIP
from .prompts import TEXT_MEMORY, ContextLearner

# The released program's solver; its stopping rule spans the whole call.
SOLVER = Sinkhorn(
    epsilon=0.1, max_iterations=100, tolerance=1e-2, rule="scaling", largest_cost=LARGEST_COST
)


class PLOT(PromptedCLIP):
    """`N` generic contexts. Local features are the attention pool's outputs on a ResNet (as
    published), and the projected patch tokens on a ViT."""

    name = "PLOT"
    trains = "several contexts, shared by all classes"
    learned = ("text",)
    batch_dependence = "Sinkhorn iterates until its tolerance is met for the whole batch"
    settings: ClassVar[Settings] = {
        "N": Setting(4, "prompts of a class", least=1),
        "N_CTX": Setting(16, "context vectors of a prompt", least=1),
        "CTX_INIT": Setting("", "accepted for CoOp's files; must be empty"),
        "CSC": Setting(False, "accepted for CoOp's files; must be False"),
        "CLASS_TOKEN_POSITION": Setting("end", "where the class name stands", one_of=("end",)),
        **TEXT_MEMORY,
    }
    prompt_learner: ContextLearner
    classes: PackedClasses

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CSC:
            check.refuse("CSC", "the prompts of PLOT are shared by all classes")
        if check.settings.CTX_INIT:
            check.refuse("CTX_INIT", "the prompts of PLOT start at random, so that they differ")

    def build_prompt_learner(self) -> ContextLearner:
        return ContextLearner(self.clip, self.cfg.N_CTX, copies=(self.cfg.N,))

    def set_classes(self, classnames: Sequence[str]) -> None:
        classes = PackedClasses(self.clip, classnames, [self.prompt_learner.prefix])
        super().set_classes(classnames)
        self.classes = classes

    def class_features(self) -> Tensor:
        """`(K, N, d)`, not normalised."""
        contexts, memory = self.prompt_learner.ctx, self.cfg.MEMORY_MB * 2**20
        return self.classes.features(self.clip, contexts, memory=memory)

    def image_features(self, images: Tensor) -> Tensor:
        """`(B, 1 + J, d)`, pooled and local, not normalised."""
        return encode_image(self.clip, images)[:, 0]

    def pooled(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        return normalised(image[:, 0]), normalised(text).transpose(0, 1)  # (B, d), (N, K, d)

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        """`<T, S>` for the similarities `S` of local features and prompts, and the plan `T`."""
        local, prompts = normalised(image[:, 1:]), normalised(text)
        u, v = local.unsqueeze(1), prompts.unsqueeze(1)  # (B, 1, J, d), (K, 1, N, d)
        a, b = (torch.full_like(x[..., 0], 1 / x.shape[2]) for x in (u, v))
        solved = token_transport(u, v, a, b, SOLVER)
        self.unconverged += solved.unconverged
        similarity = solved.similarity[:, 0, :, 0]  # (B, K)
        if self.dataset == "ImageNet":  # the original adds the pooled similarity there
            similarity = similarity + normalised(image[:, 0]) @ normalised(text.mean(1)).T
        return self.logit_scale * similarity
