"""Learning rate per epoch: a main schedule, with or without warm-up before it.

Trainers build it beside the optimizer and step it once an epoch through `update_lr()`.
"""

from collections import Counter
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR
from yacs.config import CfgNode

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]


class _WarmupScheduler(LRScheduler):
    """Rates of its own for `warmup_epoch` epochs, then those of `successor`."""

    def __init__(
        self, optimizer: Optimizer, successor: LRScheduler, warmup_epoch: int, last_epoch: int
    ) -> None:
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def _warmup_lr(self) -> list[float]:
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        if self.last_epoch >= self.warmup_epoch:
            # The first main value, which the optimizer had before warm-up replaced it.
            return self.successor.get_last_lr()
        return self._warmup_lr()

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch >= self.warmup_epoch:
            self.successor.step(epoch)
            self._last_lr = self.successor.get_last_lr()
        else:
            super().step(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Numbers only: the successor as its own state, not as an object."""
        return {**super().state_dict(), "successor": self.successor.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the numbers and keep driving the live optimizer and successor."""
        own = dict(state_dict)
        main = own.pop("successor", {})
        super().load_state_dict(own)
        for name, live in vars(self.successor).items():
            # MultiStepLR counts its milestones; checkpoints hold them as a plain dict.
            if isinstance(live, Counter) and name in main:
                main = {**main, name: Counter(main[name])}
        self.successor.load_state_dict(main)


class ConstantWarmupScheduler(_WarmupScheduler):
    """The rate `cons_lr` during warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        successor: LRScheduler,
        warmup_epoch: int,
        cons_lr: float,
        last_epoch: int = -1,
        verbose: bool = False,  # as the original; current torch has no such thing
    ) -> None:
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def _warmup_lr(self) -> list[float]:
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(_WarmupScheduler):
    """The rate `min_lr` first, then the base rate times the share of warm-up done."""

    def __init__(
        self,
        optimizer: Optimizer,
        successor: LRScheduler,
        warmup_epoch: int,
        min_lr: float,
        last_epoch: int = -1,
        verbose: bool = False,  # as the original; current torch has no such thing
    ) -> None:
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def _warmup_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [lr * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


# Their classes, and the keys of their rates.
WARMUPS = {
    "constant": (ConstantWarmupScheduler, "WARMUP_CONS_LR"),
    "linear": (LinearWarmupScheduler, "WARMUP_MIN_LR"),
}


def build_lr_scheduler(optimizer: Optimizer, optim_cfg: CfgNode) -> LRScheduler:
    """The schedule named by `optim_cfg.LR_SCHEDULER`, with warm-up if `WARMUP_EPOCH > 0`.

    Raises:
        ValueError: unknown `LR_SCHEDULER` or `WARMUP_TYPE`.
        TypeError: `STEPSIZE` of the wrong type for the schedule.
    """
    scheduler = _main_scheduler(optimizer, optim_cfg)
    if optim_cfg.WARMUP_EPOCH <= 0:
        return scheduler
    if not optim_cfg.WARMUP_RECOUNT:
        scheduler.last_epoch = optim_cfg.WARMUP_EPOCH
    if optim_cfg.WARMUP_TYPE not in WARMUPS:
        raise ValueError(
            f"OPTIM.WARMUP_TYPE must be one of {list(WARMUPS)}, but got {optim_cfg.WARMUP_TYPE}"
        )
    kind, rate = WARMUPS[optim_cfg.WARMUP_TYPE]
    return kind(optimizer, scheduler, optim_cfg.WARMUP_EPOCH, optim_cfg[rate])


def _main_scheduler(optimizer: Optimizer, optim_cfg: CfgNode) -> LRScheduler:
    name, stepsize = optim_cfg.LR_SCHEDULER, optim_cfg.STEPSIZE
    several = isinstance(stepsize, (list, tuple))
    if name == "cosine":
        return CosineAnnealingLR(optimizer, float(optim_cfg.MAX_EPOCH))
    if name == "single_step":
        step = stepsize[-1] if several else stepsize
        if not isinstance(step, int):
            raise TypeError(
                f"OPTIM.STEPSIZE must be an int, or end in one, for single_step: {stepsize!r}"
            )
        return StepLR(optimizer, step if step > 0 else optim_cfg.MAX_EPOCH, optim_cfg.GAMMA)
    if name == "multi_step":
        if not several:
            raise TypeError(
                f"OPTIM.STEPSIZE must be a list or tuple of epochs for multi_step: {stepsize!r}"
            )
        return MultiStepLR(optimizer, list(stepsize), optim_cfg.GAMMA)
    raise ValueError(f"scheduler must be one of {AVAI_SCHEDS}, but got {name}")
