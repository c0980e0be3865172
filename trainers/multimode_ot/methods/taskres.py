"""TaskRes: a residual on the text classifier.

T. Yu, Z. Lu, X. Jin, Z. Chen, X. Wang, "Task Residual for Tuning Vision-Language Models",
CVPR 2023 (arXiv 2211.10277).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import TASKRES_TEMPLATES
from ..config import Setting, Settings
from .class_bound import ClassBound


class Residuals(nn.Module):
    """`text_feature_residuals`, `(C, d)`, zeros at the start."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.text_feature_residuals = nn.Parameter(torch.zeros(classes, width))


class TaskRes(ClassBound):
    """`logits = exp(logit_scale) <z, norm(T + RESIDUAL_SCALE X)>`: the text features `T` are frozen
    CLIP's, not normalised, `X` is learned (equation 4)."""

    name = "TaskRes"
    trains = "a residual of each class's text feature"
    learned = ("text",)
    settings: ClassVar[Settings] = {
        "RESIDUAL_SCALE": Setting(0.5, "weight of the residual", above=0),
    }
    templates = TASKRES_TEMPLATES
    raw_text = True
    prompt_learner: Residuals

    def build_rows(self, classes: int) -> Residuals:
        return Residuals(classes, self.clip.embed_width)

    def class_features(self) -> Tensor:
        """`(K, d)`, normalised."""
        residuals = self.of_classes(self.prompt_learner.text_feature_residuals, torch.tensor(0.0))
        return normalised(self.text_side() + self.cfg.RESIDUAL_SCALE * residuals)

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        return self.logit_scale * normalised(image) @ text.T
