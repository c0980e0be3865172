"""The whole config of a fit: a method's published recipe or a YAML, and what the caller changes.

The recipes are those of the methods' base-to-new tables. They stand in `recipes.json`, since the
YAML files of a checkout are no part of the installed package; `scripts/recipes.py` writes it, and a
test holds the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..config import Originals, add_defaults, add_shared_defaults, merge_file, merge_options
from ..methods import find_method
from ..methods.base import PromptedCLIP, settings_path
from ..methods.build import limit_depths
from ..training.preprocessing import (
    KEY,
    is_of_backbone,
    require_preprocessing,
    require_used,
    settings_for,
)

FILE = Path(__file__).with_name("recipes.json")
# What a Dassl config has of these nodes before any file is merged.
INPUT = {
    "SIZE": (224, 224),
    "INTERPOLATION": "bilinear",
    "TRANSFORMS": (),
    "NO_TRANSFORM": False,
    "PIXEL_MEAN": [0.485, 0.456, 0.406],
    "PIXEL_STD": [0.229, 0.224, 0.225],
    "CROP_PADDING": 4,
    "RRCROP_SCALE": (0.08, 1.0),
    "CUTOUT_N": 1,
    "CUTOUT_LEN": 16,
    "GN_MEAN": 0.0,
    "GN_STD": 0.15,
    "RANDAUGMENT_N": 2,
    "RANDAUGMENT_M": 10,
    "COLORJITTER_B": 0.4,
    "COLORJITTER_C": 0.4,
    "COLORJITTER_S": 0.4,
    "COLORJITTER_H": 0.1,
    "RGS_P": 0.2,
    "GB_P": 0.5,
    "GB_K": 21,
    "AS_SEEN": "auto",
}
OPTIM = {
    "NAME": "adam",
    "LR": 0.0003,
    "WEIGHT_DECAY": 5e-4,
    "MOMENTUM": 0.9,
    "SGD_DAMPNING": 0,
    "SGD_NESTEROV": False,
    "RMSPROP_ALPHA": 0.99,
    "ADAM_BETA1": 0.9,
    "ADAM_BETA2": 0.999,
    "STAGED_LR": False,
    "NEW_LAYERS": (),
    "BASE_LR_MULT": 0.1,
    "LR_SCHEDULER": "single_step",
    "STEPSIZE": (-1,),
    "GAMMA": 0.1,
    "MAX_EPOCH": 10,
    "WARMUP_EPOCH": -1,
    "WARMUP_TYPE": "linear",
    "WARMUP_CONS_LR": 1e-5,
    "WARMUP_MIN_LR": 1e-5,
    "WARMUP_RECOUNT": True,
}
ROOTS = ("INPUT", "OPTIM", "DATALOADER", "TRAINER", "DATASET")  # of whole keys
BATCHES = ("DATALOADER.TRAIN_X.BATCH_SIZE", "DATALOADER.TEST.BATCH_SIZE")


@cache
def recipes() -> dict[str, dict[str, Any]]:
    """By method: the `config` that it was taken from, and its `values` by key."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def taken(method: type[PromptedCLIP]) -> Callable[[str], bool]:
    """Which keys of a YAML a fit takes: what trains the method and feeds it."""
    own = tuple(f"{node}." for node in ("INPUT", "OPTIM", "TRAINER"))

    def is_taken(key: str) -> bool:
        return key not in ("TRAINER.NAME", "INPUT.SIZE") and (
            key.startswith(own) or key in (*BATCHES, KEY) or key in method.originals
        )

    return is_taken


def plain_config(method: type[PromptedCLIP], clip: CLIP) -> CfgNode:
    """A config as a trainer has it before any file is merged, as far as a fit reads it."""
    cfg = CfgNode({"INPUT": CfgNode(dict(INPUT)), "OPTIM": CfgNode(dict(OPTIM))})
    add_shared_defaults(cfg)
    cfg.DATASET.update(NAME="", NUM_SHOTS=-1)
    cfg.DATALOADER = CfgNode({"TRAIN_X": CfgNode(), "TEST": CfgNode()})
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE = cfg.DATALOADER.TEST.BATCH_SIZE = 32
    cfg.DATALOADER.K_TRANSFORMS = method.views
    cfg.MODEL.INIT_WEIGHTS, cfg.MODEL.BACKBONE.NAME = "", clip.name
    cfg.TEST = CfgNode({"SPLIT": "test", "FINAL_MODEL": "last_step", "NO_TEST": False})
    node = add_defaults(CfgNode(), method.all_settings())
    cfg.TRAINER = CfgNode({"NAME": method.name, method.name.upper(): node})
    cfg.INPUT.SIZE = (clip.resolution, clip.resolution)
    return cfg


def whole_config(
    method: type[PromptedCLIP],
    clip: CLIP,
    config: str | None = None,
    *changes: Mapping[str, Any],
) -> CfgNode:
    """`plain_config` with a recipe or a file, and changes, of which later ones win.

    Args:
        clip: has the size of the images. Without `config`, it also bounds how many layers are
            prompted, and has the preprocessing of pictures, if that is known.
        config: a YAML of this ecosystem, in the place of the recipe; whose preprocessing is taken
            stands in MODEL.BACKBONE.PREPROCESSING, there or in the changes. What the changes say of
            INPUT counts more.
        changes: by key: whole ones, or the method's own without its node; nested ones allowed.

    Raises:
        OSError, ValueError: a file, key or value that is none, by its name.
    """
    path, cfg = settings_path(method.name), plain_config(method, clip)
    if config is None:
        merge_options(cfg, [word for pair in _recipe(method).items() for word in pair])
        limit_depths(cfg.TRAINER[method.name.upper()], clip, method.name)
        if clip.architecture.preprocessing is not None:
            cfg.MODEL.BACKBONE.PREPROCESSING = "backbone"
    else:
        is_taken = taken(method)
        originals = Originals(path, method.originals)
        merge_file(cfg, str(config), lambda key: not is_taken(key), originals)
    pairs = [pair for settings in changes for pair in _flat(settings).items()]
    for key, value in pairs:
        if key == KEY:
            merge_options(cfg, [key, value])
    if is_of_backbone(cfg):
        cfg.INPUT.update(settings_for(require_preprocessing(clip.architecture, clip.name)))
    for key, value in pairs:
        whole = key.split(".")[0] in ROOTS or key == KEY
        merge_options(cfg, [key if whole else f"{path}.{key}", value])
    if is_of_backbone(cfg) and config is not None:
        require_used(cfg.INPUT, clip.name)
    if cfg.MODEL.INIT_WEIGHTS:
        raise ValueError(
            f"{config} names initial weights ({cfg.MODEL.INIT_WEIGHTS}): a fit starts anew"
        )
    return cfg


def _recipe(method: type[PromptedCLIP]) -> dict[str, Any]:
    """The recipe of a method, or of that whose configs it borrows."""
    found, names = method, [method.name]
    while found.name not in recipes():
        if not found.configs or found.configs in names:
            raise ValueError(
                f"{method.name} has no published recipe: give a YAML file as config, or let its "
                'class borrow those of another method: configs = "CoOp"'
            )
        names.append(found.configs)
        found = find_method(found.configs)
    own, theirs = settings_path(method.name), settings_path(found.name)
    known = method.all_settings()
    recipe = {}
    for key, value in recipes()[found.name]["values"].items():
        name = key.removeprefix(f"{theirs}.")
        if name == key or name.split(".")[0] in known:
            recipe[f"{own}.{name}" if name != key else key] = value
    return recipe


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat
