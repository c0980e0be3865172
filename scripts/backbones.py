"""What the backbone of a run tells of it without running it, if its weights are on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from yacs.config import CfgNode


class Known(NamedTuple):
    """What is kept of a backbone that was loaded."""

    sha256: str
    architecture: Any


def known(cfg: CfgNode) -> Known | None:
    """Of a config's backbone; None (and a printed word) where its weights are not here."""
    node = cfg.MODEL.BACKBONE
    told = (node.ACTIVATION, node.HEAD_WIDTH)
    return _known(node.NAME, *(tuple(t) if isinstance(t, list) else t for t in told))


@cache
def _known(name: str, activation: Any, head_width: Any) -> Known | None:
    from multimode_ot.backbone.loading import load_clip
    from multimode_ot.backbone.sources import is_local

    if not is_local(name):
        print(f"The weights of {name} are not here: whether finished runs used them is unchecked")
        return None
    clip = load_clip(name, activation, head_width)
    return Known(clip.identity(), clip.architecture)


def backbone_part(cfg: CfgNode) -> dict[str, Any]:
    """The backbone's part of a record, if its weights are on this machine."""
    found = known(cfg)
    return {"backbone": {"name": cfg.MODEL.BACKBONE.NAME, "sha256": found.sha256}} if found else {}


def as_run(cfg: CfgNode, held: Mapping[str, Any]) -> CfgNode:
    """A config as its run has it, with the preprocessing of the backbone if it asks for it.

    Args:
        held: settings of the finished run, which stand where the weights are not here.
    """
    from multimode_ot.training.preprocessing import SETTINGS as OWN
    from multimode_ot.training.preprocessing import is_of_backbone, resolved

    if not is_of_backbone(cfg):
        return cfg
    found = known(cfg)
    if found is not None:
        return resolved(cfg, found.architecture, cfg.MODEL.BACKBONE.NAME)
    cfg = cfg.clone()
    cfg.INPUT.update({key: held[f"INPUT.{key}"] for key in OWN if f"INPUT.{key}" in held})
    return cfg
