"""ZS-LP: a linear probe on CLIP's features that starts at its text features.

J. Silva-Rodriguez, S. Hajimiri, I. Ben Ayed, J. Dolz, "A Closer Look at the Few-Shot Adaptation of
Large Vision-Language Models", CVPR 2024 (arXiv 2312.12730).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import TASKRES_TEMPLATES
from ..config import Check, Setting, Settings
from .class_bound import ClassBound

# What the original's INIT also knows: versions of other methods that are not these methods.
OTHER_METHODS = ("TR", "ClipA", "TipA", "TipA-f-", "CrossModal")


class Prototypes(nn.Module):
    """`prototypes`, `(C, d)`, a copy of their start."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.prototypes = nn.Parameter(start.clone())


class ZSLP(ClassBound):
    """`logits = exp(logit_scale) <z, norm(w)>`: the prototypes `w` are learned from many views of
    the training images, about one of each image in an epoch, and start at the text features."""

    name = "ZSLP"
    trains = "a prototype of each class"
    learned = ("text",)
    settings: ClassVar[Settings] = {
        "VIEWS": Setting(
            20,
            "augmented views of each training image whose features are made before training; the "
            "steps of an epoch draw a share of them that has the size of one",
            least=1,
        ),
        "INIT": Setting(
            "ZS",
            "where the prototypes start: at the text features, or at random (He's normal)",
            one_of=("ZS", "RANDOM"),
        ),
    }
    templates = TASKRES_TEMPLATES
    raw_text = True
    checkpoint_name = "adapter"
    checkpoint_leftovers = ("base_text_features",)
    prompt_learner: Prototypes

    @classmethod
    def check_settings(cls, check: Check) -> None:
        if check.settings.INIT.startswith(OTHER_METHODS) or "grid_search" in check.settings.INIT:
            check.refuse(
                "INIT",
                f"the original's own versions of other methods are not part of {cls.name}: use "
                "'ZS' or 'RANDOM', or the trainer of that method",
            )
        super().check_settings(check)

    def build_rows(self, classes: int) -> Prototypes:
        if self.cfg.INIT == "ZS":
            return Prototypes(self.text_side())
        return Prototypes(nn.init.kaiming_normal_(torch.empty(classes, self.clip.embed_width)))

    def class_features(self) -> Tensor:
        """`(K, d)`, not normalised."""
        return self.of_classes(self.prompt_learner.prototypes, self.text_side())

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        return self.logit_scale * normalised(image) @ normalised(text).T

    def batches(self, epoch: int, passes: int, images: int, size: int) -> list[Tensor]:
        """As many as one pass has whole ones, but one at least, of all passes' features."""
        order = torch.randperm(passes * images)
        return list(order[: max(1, images // size) * size].split(size))
