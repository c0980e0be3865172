"""Several prompts a class, transported to several features of the image, as PLOT and PLOT++ do.

Axes: `B` images, `K` classes, `J` features of an image, `N` prompts of a class, `b` tokens of a
context, `L` tokens of a prompt, `w` text width, `d` joint width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone.class_tokens import embed_classes, insert_context
from ..backbone.encoders import encode_text_pooled
from ..backbone.packed_text import PackedClasses
from ..config import Check, Setting, Settings
from ..transport import Sinkhorn
from ..transport.plans import LocalPlans, Plans
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
    local_plans: ClassVar[bool] = False  # what is transported of the image are places in it
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

    @abstractmethod
    def transported(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors that are transported to each other, of the image `(B, J, d)` and of the
        classes `(K, N, d)`."""

    def beside(self, image: Tensor, text: Tensor) -> Tensor | None:
        """`(B, K)` similarities that no plan is in, added to the transported ones."""
        return None

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        """`<T, S>` for the similarities `S` of what is transported, and their plan `T`."""
        solved = token_transport(*self._problems(image, text), SOLVER)
        self.unconverged += solved.unconverged
        return self.logit_scale * self._with_beside(solved.similarity[:, 0, :, 0], image, text)

    def _problems(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`(B, 1, J, d)`, `(K, 1, N, d)`, and their masses."""
        u, v = (side.unsqueeze(1) for side in self.transported(image, text))
        a, b = (torch.full_like(x[..., 0], 1 / x.shape[2]) for x in (u, v))
        return u, v, a, b

    def _with_beside(self, similarity: Tensor, image: Tensor, text: Tensor) -> Tensor:
        beside = self.beside(image, text)
        return similarity if beside is None else similarity + beside

    @torch.no_grad()
    def plans(self, image: Tensor, text: Tensor) -> Plans:
        """Plans between places of the image and prompts are local, those between visual and
        textual prompts are the prompt level."""
        problems = self._problems(image, text)
        u, v = problems[:2]
        local = LocalPlans(*problems, SOLVER)
        solved = token_transport(*problems, SOLVER).similarity[:, 0, :, 0]
        mean = u.mean((1, 2)) @ v.mean((1, 2)).T  # <a b^T, S>
        found = Plans(
            similarity=self._with_beside(solved, image, text),
            independent=self._with_beside(mean, image, text),
        )
        if self.local_plans:
            return replace(found, solve_local=local, columns="prompts", patches=u.shape[2])
        pairs = torch.cartesian_prod(*(torch.arange(len(x), device=x.device) for x in (u, v)))
        prompt = local(*pairs.T).plan[:, 0, 0].unflatten(0, (len(u), len(v)))  # (B, K, M, N)
        return replace(found, prompt=prompt)

    def columns(self, class_index: int) -> list[list[str]]:
        return [[f"prompt {n + 1}" for n in range(self.cfg.N)]] if self.local_plans else []
