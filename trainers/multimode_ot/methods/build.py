"""`build_model`: any method of this package as a plain module."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_clip
from ..backbone.precision import resolve_precision
from ..config import Check, add_defaults
from . import find_method, own_name
from .base import PromptedCLIP, settings_path


def build_model(
    method: str,
    clip: Any,
    classnames: Sequence[str],
    cfg: CfgNode | None = None,
    device: torch.device | str = "cpu",
    unique_names: bool = True,
    dataset: str | None = None,
) -> PromptedCLIP:
    """A prompt-learning model of any method of this package, without Dassl or data.

    Args:
        method: a trainer's name: `MultiModeOT`, `ALIGN`, `CoOp`, ..., or its original's.
        clip: whatever `load_clip` takes, or what it has loaded. One `CLIP` may serve several
            models; it is copied where a model needs another precision or device.
        classnames: `K` class names, a list of strings.
        cfg: a yacs node with `TRAINER.<METHOD>` (from `extend_cfg`), or that child alone. Without
            it: the method's defaults in float32, with no more prompted layers than `clip` has.
            Of bare tensors, `MODEL.BACKBONE` in it may say how they are run.
        device: where the model is put.
        unique_names: refuse names that become one prompt, of which but one could be predicted.
            (Some published data sets have such names.)
        dataset: `DATASET.NAME`, for methods that treat data sets differently (their templates);
            without it: the name in `cfg`, if that is a whole config.

    Returns:
        A module from normalised images `(B, 3, H, W)` to float32 logits `(B, K)`.

    Raises:
        ValueError: unknown method or backbone, bad settings, or class names (none, one string in
            the place of their list, an empty one, several that become one prompt).
        OSError, ImportError: as `load_clip`.
    """
    method = own_name(method)
    kind = find_method(method)
    settings = (
        default_settings(method) if cfg is None else in_own_form(settings_of(cfg, method), kind)
    )
    if cfg is None:
        settings.PREC = "fp32"
    kind.check_settings(Check(settings, settings_path(method)))
    told = {} if cfg is None else cfg.get("MODEL", {}).get("BACKBONE", {})
    backbone = load_clip(clip, told.get("ACTIVATION"), told.get("HEAD_WIDTH"))
    if cfg is None:
        limit_depths(settings, backbone, method)
    precision = resolve_precision(settings.PREC, device)
    moved = backbone.logit_scale.device.type != torch.device(device).type
    if backbone is clip and (moved or backbone.dtype != precision.weights):
        backbone = copy.deepcopy(backbone)
    if dataset is None and cfg is not None and "DATASET" in cfg:
        dataset = cfg.DATASET.get("NAME") or None
    return kind(backbone, classnames, settings, precision, unique_names, dataset).to(device)


def default_settings(method: str) -> CfgNode:
    """A fresh node of a method's settings at their defaults."""
    return add_defaults(CfgNode(), find_method(method).all_settings())


def in_own_form(settings: CfgNode, kind: type[PromptedCLIP]) -> CfgNode:
    """A method's node without values in the form of its original's, such as a boolean for words."""
    own = settings_path(kind.name)
    forms = {o.key: o.convert for k, o in kind.originals.items() if k == f"{own}.{o.key}"}
    changed = {key: convert(settings[key]) for key, convert in forms.items() if convert}
    if all(settings[key] == value for key, value in changed.items()):
        return settings
    settings = settings.clone()
    settings.update(changed)
    return settings


def limit_depths(settings: CfgNode, clip: CLIP, method: str) -> None:
    """Ask a method's node for no more layers than both towers of `clip` have."""
    layers = min(clip.text_layers, clip.vision_layers or clip.text_layers)
    for key, setting in find_method(method).all_settings().items():
        left = 0 if "PROMPT_DEPTH" in key else getattr(setting, "layers_left", None)
        if left is not None:
            settings[key] = min(settings[key], layers - left)


def settings_of(cfg: CfgNode, method: str) -> CfgNode:
    """The settings of a method in a whole config, or `cfg` itself if it is such a node."""
    return cfg.TRAINER[method.upper()] if "TRAINER" in cfg else cfg
