"""The backbone that a config names, and whether weights that were trained are of it."""

from __future__ import annotations

import os

from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_clip
from ..results.provenance import BACKBONE, Difference


def load_backbone(cfg: CfgNode) -> CLIP:
    """The CLIP of `cfg.MODEL.BACKBONE`; raises as `load_clip`."""
    node = cfg.MODEL.BACKBONE
    return load_clip(node.NAME, node.get("ACTIVATION"), node.get("HEAD_WIDTH"))


def require_backbone(
    found: list[Difference], what: str | os.PathLike, cfg: CfgNode, said: bool = False
) -> list[Difference]:
    """Differences of a checkpoint and a run but for that of the backbone, which is printed, where
    MODEL.BACKBONE.ALLOW_OTHER lets it be another one.

    Args:
        what: the file of the checkpoint.
        said: whether it was printed before.

    Raises:
        ValueError: it is another one and may not be.
    """
    other = next((d for d in found if d.name == BACKBONE), None)
    if other is None:
        return found
    if not cfg.MODEL.BACKBONE.get("ALLOW_OTHER", False):
        raise ValueError(
            f"{what} was trained on the backbone {other.there}, and its prompts mean nothing on "
            f"{other.here}: name that one, or use them nevertheless with "
            "MODEL.BACKBONE.ALLOW_OTHER True"
        )
    if not said:
        print(f"{what} was trained on the backbone {other.there}; here it is {other.here}")
    return [d for d in found if d is not other]
