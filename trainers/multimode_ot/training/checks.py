"""What is refused before any data are read: settings, and weights that do not fit them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import torch
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.names import check_backbone
from ..config import FINGERPRINTS, Check, require_known
from ..methods.base import PromptedCLIP, settings_path
from ..methods.build import build_model, settings_of
from ..methods.on_features import OnFeatures
from ..methods.prompts import CLASS_NAMES
from .checkpoints import read_checkpoint
from .optimisation import Optimisation, build_optimisation, check_optimisation
from .preprocessing import KEY as PREPROCESSING
from .preprocessing import is_of_backbone
from .schedule import OPTIMISERS, SCHEDULES, WARM_UPS
from .transforms import resize_mode


def check_config(cfg: CfgNode, method: type[PromptedCLIP]) -> None:
    """Refuse bad values, before anything is loaded.

    Raises:
        ValueError: with the key, its value, and what is allowed.
    """
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    check_all_settings(cfg, method)


def check_all_settings(cfg: CfgNode, method: type[PromptedCLIP]) -> None:
    """As `check_config`, but for the backbone, which may have been loaded already."""
    fingerprint = cfg.DATASET.get("FINGERPRINT", FINGERPRINTS[0])
    require_known("DATASET.FINGERPRINT", fingerprint, FINGERPRINTS)
    require_known("TEST.SPLIT", cfg.TEST.SPLIT, ("val", "test"))
    require_known("TEST.FINAL_MODEL", cfg.TEST.FINAL_MODEL, ("last_step", "best_val"))
    is_of_backbone(cfg)
    resize_mode(cfg.INPUT)
    for key, (value, wanted, reason) in {
        "INPUT.NO_TRANSFORM": (cfg.INPUT.NO_TRANSFORM, False, "CLIP takes tensors"),
        "DATALOADER.K_TRANSFORMS": (
            cfg.DATALOADER.K_TRANSFORMS,
            method.views,
            f"so many views of an image {method.name} trains on",
        ),
        "OPTIM.STAGED_LR": (cfg.OPTIM.STAGED_LR, False, "prompts have no layers"),
    }.items():
        if value != wanted:
            raise ValueError(f"{key} is {value}, but must be {wanted}: {reason}")
    settings = settings_of(cfg, method.name)
    method.check_settings(Check(settings, settings_path(method.name)))
    if method.trains:
        _check_training(cfg, method)
        check_optimisation(method, settings, cfg)


def _check_training(cfg: CfgNode, method: type[PromptedCLIP]) -> None:
    optim = cfg.OPTIM
    if optim.MAX_EPOCH < 1:
        raise ValueError(f"OPTIM.MAX_EPOCH is {optim.MAX_EPOCH}, but must be at least 1")
    at_once = issubclass(method, OnFeatures) and method.fits_at_once
    if at_once and optim.MAX_EPOCH != 1:
        raise ValueError(
            f"OPTIM.MAX_EPOCH is {optim.MAX_EPOCH}, but must be 1: {method.name} is fitted at once"
        )
    tune = settings_of(cfg, method.name).get("TUNE", "none")
    if tune != "none" and not at_once and cfg.TEST.FINAL_MODEL == "best_val":
        raise ValueError(
            f"TEST.FINAL_MODEL 'best_val' with {settings_path(method.name)}.TUNE {tune!r}: the "
            "search is made with the last epoch's weights, so it must be 'last_step'"
        )
    require_known("OPTIM.NAME", optim.NAME, OPTIMISERS)
    require_known("OPTIM.LR_SCHEDULER", optim.LR_SCHEDULER, SCHEDULES)
    require_known("OPTIM.WARMUP_TYPE", optim.WARMUP_TYPE, WARM_UPS)
    for key in ("LR", "WEIGHT_DECAY", "MOMENTUM"):
        if optim[key] < 0:
            raise ValueError(f"OPTIM.{key} is {optim[key]}, but must be at least 0")
    steps = optim.STEPSIZE
    whole = steps and all(type(step) is int for step in steps)
    if optim.LR_SCHEDULER != "cosine" and not whole:
        raise ValueError(f"OPTIM.STEPSIZE {steps}: wants whole numbers of epochs")


def try_settings(
    cfg: CfgNode,
    method: type[PromptedCLIP],
    clip: CLIP,
    build: Optimisation = build_optimisation,
) -> None:
    """Refuse what does not fit the backbone: prompts, optimiser, schedule and initial weights are
    built once for one class.

    Args:
        build: how optimiser and schedule are built.

    Raises:
        ValueError: with the key.
        ImportError: an installed Dassl that the installed torch has left behind.
    """
    if tuple(cfg.INPUT.SIZE) != (clip.resolution, clip.resolution):
        raise ValueError(
            f"INPUT.SIZE {tuple(cfg.INPUT.SIZE)}: {clip.name} takes "
            f"{(clip.resolution, clip.resolution)}{_own_size(clip)}"
        )
    if "normalize" not in cfg.INPUT.TRANSFORMS:
        print("INPUT.TRANSFORMS has no 'normalize': no CLIP was trained on such images")
    settings = settings_of(cfg, method.name).clone()
    settings.defrost()
    settings.PREC = "fp32"  # as the backbone was loaded: nothing is copied
    with torch.random.fork_rng(devices=[]):
        model = build_model(method.name, clip, ["x"], settings, dataset=cfg.DATASET.NAME)
    if method.trains:
        try:
            build(model, cfg.OPTIM, 1)
        except Exception as error:  # torch has no common type for what it refuses
            if isinstance(error, TypeError) and "positional argument" in str(error):
                raise ImportError(
                    f"the installed Dassl does not work with torch {torch.__version__} (its "
                    f"schedules fail: {error}): install the stand-in, pip install ./toolbox"
                ) from error
            raise ValueError(f"OPTIM, of NAME {cfg.OPTIM.NAME!r}: {error}") from error
    initial = cfg.MODEL.INIT_WEIGHTS
    if initial:
        with redirect_stdout(io.StringIO()):
            checkpoint = read_checkpoint(initial)
            if CLASS_NAMES not in model.prompt_learner.state_dict():  # else it needs its own
                load_into(model, checkpoint, initial)


def _own_size(clip: CLIP) -> str:
    own = clip.architecture.preprocessing
    known = own is not None and own.size == clip.resolution
    return f"; with {PREPROCESSING} backbone, it gets that" if known else ""


def load_into(model: PromptedCLIP, checkpoint: dict[str, Any], path: Any) -> None:
    """Load a checkpoint's prompts, and say what was in it.

    Raises:
        ValueError: with the path: it lacks some, or does not fit.
    """
    try:
        report = model.load_prompts(checkpoint["state_dict"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if report.missed:
        raise ValueError(f"{path} lacks prompts of {model.name}: {report.missed}")
    if report.unexpected:
        print(f"Unknown entries of {path} left out: {', '.join(report.unexpected)}")
    remark = model.remark_on(report)
    if remark:
        print(f"{path}: {remark}")
    epoch = checkpoint.get("epoch")
    print(f"Loaded {len(report.used)} prompt tensors from {path} (epoch {epoch})")
