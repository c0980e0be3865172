"""Optimiser and learning rates from a node `OPTIM`, for callers that have no Dassl.

They are those of the stand-in and of the original, to the bit; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR
from yacs.config import CfgNode

from ..config import require_known

OPTIMISERS = ("adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw")
SCHEDULES = ("single_step", "multi_step", "cosine")
WARM_UPS = ("linear", "constant")


def build_optimiser(parameters: Iterable[nn.Parameter], optim: CfgNode) -> torch.optim.Optimizer:
    """The optimiser that `OPTIM.NAME` says.

    Raises:
        ValueError: an unknown one.
    """
    name, common = optim.NAME, {"lr": optim.LR, "weight_decay": optim.WEIGHT_DECAY}
    require_known("OPTIM.NAME", name, OPTIMISERS)
    if name == "sgd":
        nesterov, dampening = optim.SGD_NESTEROV, optim.SGD_DAMPNING
        return torch.optim.SGD(
            parameters, momentum=optim.MOMENTUM, nesterov=nesterov, dampening=dampening, **common
        )
    if name == "rmsprop":
        alpha = optim.RMSPROP_ALPHA
        return torch.optim.RMSprop(parameters, momentum=optim.MOMENTUM, alpha=alpha, **common)
    common["betas"] = optim.ADAM_BETA1, optim.ADAM_BETA2
    if name == "radam":
        return torch.optim.RAdam(parameters, decoupled_weight_decay=True, **common)
    if name == "adamw":
        return torch.optim.AdamW(parameters, **common)
    return torch.optim.Adam(parameters, amsgrad=name == "amsgrad", **common)


class WarmedUp:
    """Rates of its own for the first epochs, then those of a schedule from its first on."""

    def __init__(self, optimizer: torch.optim.Optimizer, rates: list[float], then: LRScheduler):
        self.optimizer, self.rates, self.then, self.epoch = optimizer, rates, then, 0
        self._set()

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            warm = self.epoch < len(self.rates)
            group["lr"] = self.rates[self.epoch] if warm else group["initial_lr"]

    def step(self) -> None:
        if self.epoch >= len(self.rates):
            self.then.step()
            return
        self.epoch += 1
        self._set()


def build_schedule(optimizer: torch.optim.Optimizer, optim: CfgNode) -> Any:
    """What is stepped at the end of each epoch: `OPTIM.LR_SCHEDULER`, after the warm-up.

    Raises:
        ValueError: an unknown one, or a `STEPSIZE` that is not of its form.
    """
    then, epochs = _main(optimizer, optim), optim.WARMUP_EPOCH
    if epochs <= 0:
        return then
    require_known("OPTIM.WARMUP_TYPE", optim.WARMUP_TYPE, WARM_UPS)
    if not optim.WARMUP_RECOUNT:
        then.last_epoch = epochs
    if optim.WARMUP_TYPE == "constant":
        rates = [optim.WARMUP_CONS_LR] * epochs
    else:
        rates = [optim.WARMUP_MIN_LR, *(optim.LR * e / epochs for e in range(1, epochs))]
    return WarmedUp(optimizer, rates, then)


def _main(optimizer: torch.optim.Optimizer, optim: CfgNode) -> LRScheduler:
    name, epochs = optim.LR_SCHEDULER, optim.MAX_EPOCH
    require_known("OPTIM.LR_SCHEDULER", name, SCHEDULES)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, epochs)
    several = isinstance(optim.STEPSIZE, tuple | list)
    steps = list(optim.STEPSIZE) if several else [optim.STEPSIZE]
    whole = bool(steps) and all(type(step) is int for step in steps)
    if not whole or (name == "multi_step" and not several):
        raise ValueError(f"OPTIM.STEPSIZE {optim.STEPSIZE!r}: wants whole numbers of epochs")
    if name == "multi_step":
        return MultiStepLR(optimizer, steps, optim.GAMMA)
    return StepLR(optimizer, steps[-1] if steps[-1] > 0 else epochs, optim.GAMMA)
