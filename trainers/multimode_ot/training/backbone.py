"""The backbone that a config names, and whether weights that were trained are of it."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_clip
from ..results.provenance import BACKBONE, Difference


def load_backbone(cfg: CfgNode) -> CLIP:
    """The CLIP of `cfg.MODEL.BACKBONE`; raises as `load_clip`.

    Random generators stay as they are, whatever the libraries that a name goes through draw when
    they are imported: the same CLIP under another name trains the same.
    """
    node = cfg.MODEL.BACKBONE
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            return load_clip(node.NAME, node.get("ACTIVATION"), node.get("HEAD_WIDTH"))
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


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
