"""Zero-shot CLIP with several hand-written templates: MaPLe's and CoOp's `ZeroshotCLIP2`."""

from __future__ import annotations

from ..backbone.templates import IMAGENET_TEMPLATES
from .zeroshot_clip import ZeroshotCLIP


class ZeroshotCLIP2(ZeroshotCLIP):
    """An ensemble: seven templates chosen on ImageNet, and the data set's own elsewhere."""

    name = "ZeroshotCLIP2"

    def templates(self) -> tuple[str, ...]:
        own = () if self.dataset == "ImageNet" else super().templates()
        return (*IMAGENET_TEMPLATES, *own)
