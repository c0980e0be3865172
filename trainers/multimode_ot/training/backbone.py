"""The backbone that a config names."""

from __future__ import annotations

from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_clip


def load_backbone(cfg: CfgNode) -> CLIP:
    """The CLIP of `cfg.MODEL.BACKBONE`; raises as `load_clip`."""
    node = cfg.MODEL.BACKBONE
    return load_clip(node.NAME, node.get("ACTIVATION"), node.get("HEAD_WIDTH"))
