"""Methods that learn no prompt, but something at the blocks of the towers.

Axes: `B` images, `K` classes, `d` joint width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ..backbone.additions import Additions
from ..backbone.encoders import encode_image, normalised
from ..backbone.packed_text import PackedClasses
from ..config import Settings
from .prompts import TEXT_MEMORY
from .single_mode import SingleMode


class AdaptedTowers(SingleMode):
    """Fixed words in front of the class names; both towers with what is added to them."""

    learned = ("text", "image")
    settings: ClassVar[Settings] = TEXT_MEMORY

    classes: PackedClasses

    @property
    @abstractmethod
    def words(self) -> str:
        """What stands in front of the class names."""

    @abstractmethod
    def additions(self) -> tuple[Additions, Additions]:
        """What is added to the text tower and to the image tower."""

    def set_classes(self, classnames: Sequence[str]) -> None:
        classes = PackedClasses(self.clip, classnames, [self.words])
        super().set_classes(classnames)
        self.classes = classes

    def class_features(self) -> Tensor:
        """`(K, d)`, normalised."""
        no_context = torch.empty(1, 0, self.clip.text_width, device=self.device)
        memory, (added, _) = self.cfg.MEMORY_MB * 2**20, self.additions()
        features = self.classes.features(self.clip, no_context, memory=memory, added=added)
        return normalised(features.squeeze(1))

    def image_features(self, images: Tensor) -> Tensor:
        """`(B, d)`, normalised."""
        _, added = self.additions()
        return normalised(encode_image(self.clip, images, pooled_only=True, added=added)[:, 0, 0])
