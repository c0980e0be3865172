"""Optimiser, schedule and batches of a training, as the config and the method say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ..methods.base import PromptedCLIP
from ..methods.build import settings_of
from .schedule import build_optimiser, build_schedule

# Optimiser and schedule of a model and a node `OPTIM`, for so many iterations.
Optimisation = Callable[[PromptedCLIP, CfgNode, int], tuple[Any, Any]]


class NoSchedule:
    """Stands for the schedule where nothing is stepped; checkpoints keep what is put on it."""

    def step(self) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def build_optimisation(
    model: PromptedCLIP,
    optim: CfgNode,
    iterations: int,
    optimiser_of: Callable[[Any, CfgNode], torch.optim.Optimizer] = build_optimiser,
    schedule_of: Callable[[torch.optim.Optimizer, CfgNode], Any] = build_schedule,
) -> tuple[Any, Any]:
    """The optimiser of what is trained, and its schedule; no optimiser where nothing is stepped.

    Args:
        optim: the node `OPTIM`.
        iterations: of the whole training, for schedules by iteration.
        optimiser_of, schedule_of: a host's own ways to build them.
    """
    trained = model.trained()
    if not trained:
        return None, NoSchedule()
    optimizer = optimiser_of(trained, optim)
    for group in optimizer.param_groups:
        group.update(model.optimiser_arguments())
    if not model.steps.by_iteration:
        return optimizer, schedule_of(optimizer, optim)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR
    return optimizer, cosine(optimizer, max(iterations, 1), eta_min=model.steps.floor)


@dataclass(frozen=True)
class Prepared:
    """What the steps of a training are taken with."""

    loader: Any
    optimizer: Any
    schedule: Any
    scaler: torch.amp.GradScaler


def prepare_steps(
    model: PromptedCLIP, cfg: CfgNode, loader: Any, build: Optimisation = build_optimisation
) -> Prepared:
    """Batches, optimiser, schedule and scaler of a whole training.

    Args:
        cfg: a whole config.
        loader: a stock one of the training images, or batches in its place, which stay.
    """
    per_shot, epochs = model.steps.per_shot, cfg.OPTIM.MAX_EPOCH
    steps = settings_of(cfg, model.name)[per_shot] * cfg.DATASET.NUM_SHOTS if per_shot else 0
    if isinstance(loader, DataLoader):
        loader = training_loader(loader, type(model), steps // epochs)
    optimizer, schedule = build(model, cfg.OPTIM, epochs * len(loader))
    scaler = torch.amp.GradScaler(model.device.type, enabled=model.precision.scale_loss)
    return Prepared(loader, optimizer, schedule, scaler)


def check_optimisation(method: type[PromptedCLIP], settings: CfgNode, cfg: CfgNode) -> None:
    """Refuse what the way in which a method takes its steps cannot do.

    Raises:
        ValueError: with the key, its value, and what is possible.
    """
    optim, steps = cfg.OPTIM, method.steps
    if steps.by_iteration and optim.LR_SCHEDULER != "cosine":
        raise ValueError(
            f"OPTIM.LR_SCHEDULER {optim.LR_SCHEDULER!r}: {method.name} has a cosine over its steps,"
            " so it must be 'cosine'"
        )
    if steps.by_iteration and optim.WARMUP_EPOCH > 0:
        raise ValueError(
            f"OPTIM.WARMUP_EPOCH {optim.WARMUP_EPOCH}: {method.name} has a cosine over its steps, "
            "without warm-up, so it must be 0"
        )
    if steps.per_shot:
        total = settings[steps.per_shot] * cfg.DATASET.NUM_SHOTS
        if total < 1 or total % optim.MAX_EPOCH:
            raise ValueError(
                f"OPTIM.MAX_EPOCH {optim.MAX_EPOCH}: {method.name} takes {steps.per_shot} "
                f"{settings[steps.per_shot]} x DATASET.NUM_SHOTS {cfg.DATASET.NUM_SHOTS} = {total} "
                "steps, which it must divide into equal parts"
            )


def training_loader(loader: DataLoader, method: type[PromptedCLIP], steps: int) -> Any:
    """The loader of an epoch's batches.

    Args:
        loader: as Dassl has built it.
        steps: that an epoch is to have, for methods with a number of steps a shot.
    """
    if method.steps.keep_last and loader.drop_last:
        loader = DataLoader(
            loader.dataset,
            batch_size=loader.batch_size,
            sampler=loader.sampler,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            multiprocessing_context=loader.multiprocessing_context,
        )
    return CutOff(loader, steps) if method.steps.per_shot else loader


class CutOff:
    """So many batches of a loader, which is begun again and again and cut at the last."""

    def __init__(self, loader: DataLoader, steps: int):
        self.loader, self.steps = loader, steps
        self.dataset, self.batch_size = loader.dataset, loader.batch_size

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        left = self.steps
        while left:
            for batch in self.loader:
                yield batch
                left -= 1
                if not left:
                    break
