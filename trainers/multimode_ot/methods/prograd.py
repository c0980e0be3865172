"""ProGrad: CoOp, whose step never goes against the gradient of agreeing with zero-shot CLIP.

B. Zhu, Y. Niu, Y. Han, Y. Wu, H. Zhang, "Prompt-aligned Gradient for Prompt Tuning", ICCV 2023
(arXiv 2205.14865).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from .. import regularisers
from ..backbone.class_tokens import embed_words
from ..backbone.templates import PROGRAD_TEMPLATES, dataset_template
from ..config import Check, Original, Setting, Settings
from .base import settings_path
from .coop import OF_DESCENDANTS, CoOp
from .prompts import ContextLearner, placeholders


def require_prograd(name: Any) -> None:
    """Refuse another loss, as the original does."""
    if name != "prograd":
        raise ValueError("must be 'prograd', the only loss there is")


class ProGrad(CoOp):
    """CoOp whose gradients are projected; its context may start with zeros and the data set's
    words.

    With `CTX_INIT` the last of the `N_CTX` vectors start as the words of the data set's template,
    as many as it has words; those before them are zero. A comma among the words is a token, so that
    the last word is left over: it stays in the prompt, frozen, between context and class name.
    """

    name = "ProGrad"
    settings: ClassVar[Settings] = {
        "N_CTX": Setting(16, "context vectors, those of the words included", least=1),
        "CTX_INIT": Setting(False, "start from the data set's template; random without"),
        "REGULARISERS": regularisers.listing("gradient_projection"),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        **OF_DESCENDANTS,
        "TRAINER.COOP.CTX_INIT": Original("CTX_INIT"),
        "TRAINER.COOP.CLASS_TOKEN_POSITION": Original("CLASS_TOKEN_POSITION"),
        "LOSS.NAME": Original(convert=require_prograd),
        "LOSS.T": Original("GRADIENT_PROJECTION.T"),
        "LOSS.LAMBDA": Original("GRADIENT_PROJECTION.LAMBDA"),
        "LOSS.GM": Original(),
        "LOSS.ALPHA": Original(),
    }

    def build_prompt_learner(self) -> ContextLearner:
        """Also raises `ValueError` for more words than context vectors, and for a class name in the
        middle or in front where a frozen word stands before it."""
        if not self.cfg.CTX_INIT:
            return super().build_prompt_learner()
        check, n_ctx = Check(self.cfg, settings_path(self.name)), self.cfg.N_CTX
        words = dataset_template(self.dataset, PROGRAD_TEMPLATES).removesuffix(" {}.")
        learned, vectors = len(words.split()), embed_words(self.clip, words)
        if learned > n_ctx:
            check.refuse(
                "N_CTX", f"must be at least {learned}, the words of {words!r}; or CTX_INIT False"
            )
        if len(vectors) > learned and self.cfg.CLASS_TOKEN_POSITION != "end":
            check.refuse(
                "CLASS_TOKEN_POSITION",
                f"must be 'end' with the initial words {words!r}, of which "
                f"{words.split()[-1]!r} stays in front of the class name; or CTX_INIT False",
            )
        learner = ContextLearner(self.clip, n_ctx)
        learner.prefix = f"{placeholders(n_ctx - learned)} {words}".strip()
        with torch.no_grad():
            learner.ctx.zero_()
            learner.ctx[n_ctx - learned :] = vectors[:learned]
        return learner
