"""Whose preprocessing a run has: its config's, or its backbone's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from yacs.config import CfgNode

from ..backbone.architecture import Architecture, Preprocessing
from ..config import PREPROCESSINGS, require_known
from .transforms import resize_mode

KEY = "MODEL.BACKBONE.PREPROCESSING"
SETTINGS = ("SIZE", "PIXEL_MEAN", "PIXEL_STD", "INTERPOLATION", "RESIZE_MODE")  # of INPUT


def is_of_backbone(cfg: CfgNode) -> bool:
    """Whether a config asks for the backbone's own; `ValueError` for a word that is none."""
    chosen = cfg.MODEL.BACKBONE.get("PREPROCESSING", PREPROCESSINGS[0])
    require_known(KEY, chosen, PREPROCESSINGS)
    return chosen == "backbone"


def settings_for(seen: Preprocessing) -> dict[str, Any]:
    """What the node `INPUT` has for it, by its keys."""
    size, mean, std = (seen.size, seen.size), map(float, seen.mean), map(float, seen.std)
    values = size, list(mean), list(std), seen.interpolation, seen.resize
    return dict(zip(SETTINGS, values, strict=True))


def require_preprocessing(architecture: Architecture, name: str) -> Preprocessing:
    """What a backbone was trained to see; `ValueError` if nobody has said it."""
    if architecture.preprocessing is None:
        why = architecture.no_preprocessing or "nothing with its weights says it"
        raise ValueError(
            f"{KEY} 'backbone': the preprocessing of {name} is not known ({why}): use 'config', "
            "and give INPUT.SIZE, INPUT.PIXEL_MEAN, INPUT.PIXEL_STD and INPUT.INTERPOLATION"
        )
    return architecture.preprocessing


def resolved(cfg: CfgNode, architecture: Architecture, name: str) -> CfgNode:
    """A frozen copy of a whole config, with the preprocessing of the backbone if it asks for it.

    Args:
        architecture, name: of the backbone.

    Raises:
        ValueError: nobody has said it, or its mean would not be used.
    """
    cfg = cfg.clone()
    cfg.defrost()
    if is_of_backbone(cfg):
        require_used(cfg.INPUT, name)
        cfg.INPUT.update(settings_for(require_preprocessing(architecture, name)))
    cfg.freeze()
    return cfg


def require_used(inp: CfgNode, name: str) -> None:
    """Refuse transforms that leave out a backbone's own mean."""
    if "normalize" not in inp.TRANSFORMS:
        raise ValueError(
            f"INPUT.TRANSFORMS {tuple(inp.TRANSFORMS)} lacks 'normalize', without which the mean "
            f"and deviation of {name} are not used ({KEY} 'backbone'): add it"
        )


def listed(inp: CfgNode) -> str:
    """The preprocessing that a node `INPUT` has, in one line."""
    return ", ".join(f"INPUT.{key} {inp[key]!r}" for key in SETTINGS)


def departures(inp: CfgNode, architecture: Architecture, name: str) -> str:
    """One line on what a node `INPUT` has otherwise than the backbone was trained to see, with both
    values; "" if that is nothing, or nobody has said it. The size is left to `try_settings`."""
    if architecture.preprocessing is None:
        return ""
    own = settings_for(architecture.preprocessing)
    here = {**inp, "RESIZE_MODE": resize_mode(inp)}
    keys = SETTINGS[1:] if "normalize" in inp.TRANSFORMS else SETTINGS[3:]
    apart = [
        f"INPUT.{key} is {_plain(here[key])!r}, and {name} was trained with {own[key]!r}"
        for key in keys
        if not _alike(here[key], own[key])
    ]
    return f"{'; '.join(apart)}. {KEY} backbone takes the backbone's" if apart else ""


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else list(value)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, str) or not isinstance(other, Sequence):
        return one == other
    return len(one) == len(other) and all(
        math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one, other, strict=True)
    )
