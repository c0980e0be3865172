"""CoOp: learned context vectors around the class name.

K. Zhou, J. Yang, C. C. Loy, Z. Liu, "Learning to Prompt for Vision-Language Models", IJCV 2022
(arXiv 2109.01134).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..config import Check, Original, Setting, Settings
from .prompts import CONTEXT_SETTINGS, ContextLearner, keep_classnames
from .single_mode import LearnedContext

# How the repositories that grew out of CoOp's name the settings that they share with it.
OF_DESCENDANTS: Mapping[str, Original] = {
    **{f"TRAINER.COOP.{key}": Original(key) for key in ("N_CTX", "CSC", "PREC")},
    "TRAINER.COOP.ALPHA": Original(),
}


class CoOp(LearnedContext):
    """Generic or class-specific context; the class name at its end, in its middle or in front."""

    name = "CoOp"
    settings: ClassVar[Settings] = {
        **CONTEXT_SETTINGS,
        "CSC": Setting(False, "class-specific contexts: one for each class"),
        "CLASS_TOKEN_POSITION": Setting(
            "end", "where the class name stands", one_of=("end", "middle", "front")
        ),
    }
    prompt_learner: ContextLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CSC and check.settings.CTX_INIT:
            check.refuse(
                "CSC",
                "the original has no class-specific context with initial words and ignores CSC; "
                f"set CSC False, or CTX_INIT {type(check.settings.CTX_INIT)()!r}",
            )

    def build_prompt_learner(self) -> ContextLearner:
        s = self.cfg
        words = (s.CTX_INIT or "").replace("_", " ")
        n_ctx = len(words.split()) or s.N_CTX
        learner = ContextLearner(
            self.clip, n_ctx, words, copies=(len(self.classnames),) if s.CSC else ()
        )
        if s.CSC:
            keep_classnames(learner, self.classnames)
        return learner

    @property
    def sharing(self) -> bool:
        generic = not self.cfg.CSC and self.cfg.CLASS_TOKEN_POSITION == "end"
        return generic and type(self).rows is CoOp.rows

    def set_classes(self, classnames: Sequence[str]) -> None:
        """Also raises `ValueError` for other classes than those of a class-specific context."""
        if self.cfg.CSC and list(classnames) != self.classnames:
            raise ValueError(
                f"CSC True: the contexts belong to the {len(self.classnames)} classes that they "
                "were made for; build a model of its own for other classes"
            )
        super().set_classes(classnames)

    def rows(self, context: Tensor) -> Tensor:
        n_ctx = context.shape[-2]
        before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[self.cfg.CLASS_TOKEN_POSITION]
        rows = super().rows(context)  # (K, L, w)
        if before == n_ctx:
            return rows
        order = name_after(before, n_ctx, self.name_lengths, rows.shape[1])
        return rows.gather(1, order.unsqueeze(-1).expand_as(rows))


def name_after(before: int, n_ctx: int, name_lengths: Tensor, length: int) -> Tensor:
    """Indices `(K, length)` that move the class name behind the first `before` context vectors.

    They take `SOS, context, name, rest` to `SOS, context[:before], name, context[before:], rest`,
    so the EOS stays where it is.
    """
    position = torch.arange(length, device=name_lengths.device).expand(len(name_lengths), -1)
    start, end = 1 + before, 1 + before + name_lengths.unsqueeze(1)
    in_name = (position >= start) & (position < end)
    in_context = (position >= end) & (position < end + n_ctx - before)
    order = torch.where(in_name, position + n_ctx - before, position)
    return torch.where(in_context, position - name_lengths.unsqueeze(1), order)
