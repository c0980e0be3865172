"""Refuses settings that would fail late and obscurely, or be taken in silence."""

import math
from functools import reduce
from typing import Any

from yacs.config import CfgNode

from dassl.data.samplers import SAMPLERS
from dassl.evaluation.build import EVALUATOR_REGISTRY

_AT_LEAST = {
    "OPTIM.MAX_EPOCH": 0,
    "DATASET.NUM_SHOTS": -1,
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.K_TRANSFORMS": 1,
    "DATALOADER.TRAIN_X.BATCH_SIZE": 1,
    "DATALOADER.TEST.BATCH_SIZE": 1,
    "DATALOADER.CACHE_MB": 0,
    "TRAIN.PRINT_FREQ": 1,
}
_NAMES = {
    "DATALOADER.TRAIN_X.SAMPLER": list(SAMPLERS),
    "DATALOADER.TEST.SAMPLER": list(SAMPLERS),
}


def check_settings(cfg: CfgNode) -> None:
    """Look at what loaders and loop read, before any data are.

    Optimizer and schedule are not looked at: a trainer may have others than those of `dassl.optim`.

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


def _value(cfg: CfgNode, key: str) -> Any:
    return reduce(lambda node, part: node[part], key.split("."), cfg)


def _refuse(cfg: CfgNode, key: str, wanted: str) -> None:
    raise ValueError(f"{key} is {_value(cfg, key)!r}, but must be {wanted}")
