"""Several prompts a class, transported to several features of the image, as PLOT and PLOT++ do.

Axes: `B` images, `K` classes, `J` features of an image, `N` prompts of a class, `b` tokens of a
context, `L` tokens of a prompt, `w` text width, `d` joint width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone.class_tokens import embed_classes, insert_context
from ..backbone.encoders import encode_text_pooled
from ..backbone.packed_text import PackedClasses
from ..config import Check, Setting, Settings
from ..transport import Sinkhorn
from ..transport.token_level import LARGEST_COST, token_transport
from .base import PromptedCLIP
from .prompts import TEXT_MEMORY, by_mode

# The released program's solver; its stopping rule spans the whole call.
SOLVER = Sinkhorn(
    epsilon=0.1, max_iterations=100, tolerance=1e-2, rule="scaling", largest_cost=LARGEST_COST
)


class TransportedPrompts(PromptedCLIP):
    """`N` contexts that all classes share, transported to several features of the image."""

    batch_dependence = "Sinkhorn iterates until its tolerance is met for the whole batch"
    settings: ClassVar[Settings] = {
        "N": Setting(4, "textual prompts of a class", least=1),
        "CSC": Setting(False, "accepted for CoOp's files; must be False"),
        "CLASS_TOKEN_POSITION": Setting("end", "where the class name stands", one_of=("end",)),
        **TEXT_MEMORY,
    }
    prompt_learner: Any  # with `ctx` (N, b, w)
    sharing: bool = True  # prompts of classes differ in the names alone: they run packed
    classes: PackedClasses  # if sharing; else:
    embeddings: Tensor  # (K, N, L, w)
    eos: Tensor  # (K, N)

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CSC:
            check.refuse("CSC", f"the prompts of {cls.name} are shared by all classes")

    @property
    def prefixes(self) -> list[str]:
        """Words or placeholders before the class name: of each context, or one for all."""
        return [self.prompt_learner.prefix]

    def set_classes(self, classnames: Sequence[str]) -> None:
        if self.sharing:
            classes = PackedClasses(self.clip, classnames, self.prefixes)
            super().set_classes(classnames)
            self.classes = classes
            return
        tokens = embed_classes(self.clip, classnames, self.prefixes)
        super().set_classes(classnames)
        self.register_buffer("embeddings", tokens.embeddings, persistent=False)
        self.register_buffer("eos", tokens.eos, persistent=False)

    def learned_words(self) -> dict[str, Tensor]:
        return by_mode(self.prompt_learner.ctx)

    def class_features(self) -> Tensor:
        """`(K, N, d)`, not normalised."""
        contexts = self.prompt_learner.ctx  # (N, b, w)
        memory = self.cfg.MEMORY_MB * 2**20
        if self.sharing:
            return self.classes.features(self.clip, contexts, memory=memory)
        rows = insert_context(self.embeddings, contexts).flatten(0, 1)
        pooled = encode_text_pooled(self.clip, rows, self.eos.flatten(), memory=memory)
        return pooled.unflatten(0, self.eos.shape)

    def transported(self, image: Tensor, text: Tensor) -> Tensor:
        """`<T, S>`, `(B, K)`, for the similarities `S` of image features `(B, J, d)` and prompts
        `(K, N, d)`, unit vectors, and their plan `T`."""
        u, v = image.unsqueeze(1), text.unsqueeze(1)  # (B, 1, J, d), (K, 1, N, d)
        a, b = (torch.full_like(x[..., 0], 1 / x.shape[2]) for x in (u, v))
        solved = token_transport(u, v, a, b, SOLVER)
        self.unconverged += solved.unconverged
        return solved.similarity[:, 0, :, 0]
