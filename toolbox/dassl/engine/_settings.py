"""Refuses settings that would fail late and obscurely, or be taken in silence."""

import math
from functools import reduce
from typing import Any

import torch
from yacs.config import CfgNode

from dassl.data.samplers import SAMPLERS
from dassl.evaluation.build import EVALUATOR_REGISTRY
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS, WARMUPS
from dassl.optim.optimizer import AVAI_OPTIMS

_AT_LEAST = {
    "OPTIM.MAX_EPOCH": 0,
    "OPTIM.LR": 0,
    "OPTIM.WEIGHT_DECAY": 0,
    "OPTIM.MOMENTUM": 0,
    "OPTIM.WARMUP_CONS_LR": 0,
    "OPTIM.WARMUP_MIN_LR": 0,
    "DATASET.NUM_SHOTS": -1,
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.K_TRANSFORMS": 1,
    "DATALOADER.TRAIN_X.BATCH_SIZE": 1,
    "DATALOADER.TEST.BATCH_SIZE": 1,
    "DATALOADER.CACHE_MB": 0,
    "TRAIN.PRINT_FREQ": 1,
}
_NAMES = {
    "OPTIM.NAME": AVAI_OPTIMS,
    "OPTIM.LR_SCHEDULER": AVAI_SCHEDS,
    "OPTIM.WARMUP_TYPE": list(WARMUPS),
    "DATALOADER.TRAIN_X.SAMPLER": list(SAMPLERS),
    "DATALOADER.TEST.SAMPLER": list(SAMPLERS),
}


def check_settings(cfg: CfgNode) -> None:
    """Look at what loaders, optimizer, schedule and loop read, before any data are.

    Raises:
        ValueError: a value that is none of those, with its key and what would be right.
    """
    for key, smallest in _AT_LEAST.items():
        if not smallest <= _value(cfg, key) < math.inf:
            _refuse(cfg, key, f"at least {smallest}")
    evaluators = {"TEST.EVALUATOR": EVALUATOR_REGISTRY.registered_names()}
    for key, known in (_NAMES | evaluators).items():
        if _value(cfg, key) not in known:
            _refuse(cfg, key, f"one of {', '.join(known)}")
    inp = cfg.INPUT
    if len(inp.SIZE) != 2 or not all(type(edge) is int and edge > 0 for edge in inp.SIZE):
        _refuse(cfg, "INPUT.SIZE", "height and width in pixels")
    for key in ("INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD"):
        values = _value(cfg, key)
        if len(values) != 3 or not all(isinstance(value, (int, float)) for value in values):
            _refuse(cfg, key, "three numbers, one a channel")
    if not all(value > 0 for value in inp.PIXEL_STD):
        _refuse(cfg, "INPUT.PIXEL_STD", "positive: pixels are divided by it")
    scale = inp.RRCROP_SCALE
    numbers = len(scale) == 2 and all(isinstance(value, (int, float)) for value in scale)
    if not numbers or not 0 < scale[0] <= scale[1]:
        _refuse(cfg, "INPUT.RRCROP_SCALE", "the smallest and the largest share of the area")
    _try_optimizer(cfg)


def _try_optimizer(cfg: CfgNode) -> None:
    steps = cfg.OPTIM.STEPSIZE
    if cfg.OPTIM.LR_SCHEDULER != "cosine" and not (steps and all(type(s) is int for s in steps)):
        _refuse(cfg, "OPTIM.STEPSIZE", "whole numbers of epochs")
    options = cfg.OPTIM.clone()
    options.defrost()
    options.STAGED_LR = False
    try:
        build_lr_scheduler(build_optimizer([torch.nn.Parameter(torch.zeros(1))], options), options)
    except Exception as error:  # torch has no common type for what it refuses
        raise ValueError(f"OPTIM, of NAME {options.NAME!r}: {error}") from error


def _value(cfg: CfgNode, key: str) -> Any:
    return reduce(lambda node, part: node[part], key.split("."), cfg)


def _refuse(cfg: CfgNode, key: str, wanted: str) -> None:
    raise ValueError(f"{key} is {_value(cfg, key)!r}, but must be {wanted}")
