"""Zero-shot CLIP: hand-written templates, nothing trained.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..backbone.templates import dataset_template
from ..backbone.zero_shot import template_features
from .prompts import NoPrompts
from .single_mode import SingleMode


class ZeroshotCLIP(SingleMode):
    """One template, the data set's own."""

    name = "ZeroshotCLIP"

    def templates(self) -> tuple[str, ...]:
        return (dataset_template(self.dataset),)

    def build_prompt_learner(self) -> nn.Module:
        return NoPrompts()

    def class_features(self) -> Tensor:
        """`(K, d)`: normalised, averaged over the templates, normalised."""
        return template_features(self.clip, self.classnames, self.templates())
