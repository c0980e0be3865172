"""What a fit is asked for: checked, made a config, and carried out stage by stage."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..methods import find_method, own_name
from ..methods.base import PromptedCLIP, settings_path
from ..methods.build import settings_of
from ..methods.stages import Stage
from ..training.checks import check_all_settings, try_settings
from ..training.machine import choose_device
from ..training.preprocessing import departures, is_of_backbone
from .fitting import Fit, Labelled, reads_as_seen, seeded
from .inputs import few_shot, held_out
from .recipe import whole_config

COUNTS = {"epochs": 1, "batch_size": 1, "shots": 1, "patience": 1, "workers": 0}


@dataclass(frozen=True)
class Options:
    """The arguments of `Classifier`."""

    method: str
    clip: Any
    classnames: Any
    epochs: int | None
    learning_rate: float | None
    batch_size: int | None
    shots: int | None
    settings: Mapping[str, Any] | None
    config: str | os.PathLike | None
    precision: str | None
    device: str | None
    validation: float | None
    best_epoch: bool
    patience: int | None
    workers: int
    verbose: bool
    random_state: Any

    def check(self, has_pictures: bool) -> None:
        """Refuse arguments that are none.

        Args:
            has_pictures: whether validation pictures are given besides.
        """
        for name, least in COUNTS.items():
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= least):
                raise ValueError(f"{name} {value!r}: must be a whole number of at least {least}")
        share = self.validation
        if share is not None and not (isinstance(share, float) and 0 < share < 1):
            raise ValueError(f"validation {share!r}: must be a share between 0 and 1, or None")
        if self.chooses and share is None and not has_pictures:
            raise ValueError(
                "best_epoch and patience need validation pictures: give a share as validation, or "
                "pictures of their own to fit"
            )

    @property
    def chooses(self) -> bool:
        """Whether an epoch is chosen."""
        return bool(self.best_epoch) or self.patience is not None

    def seed(self) -> int:
        """Of `random_state`; `ValueError` where it is none."""
        state = self.random_state
        if state is None:
            return secrets.randbits(32)
        if hasattr(state, "randint"):
            return int(state.randint(2**31))
        if not _is_whole(state) or not 0 <= state < 2**32:
            raise ValueError(f"random_state {state!r}: must be a seed from 0 to 2**32 - 1, or None")
        return int(state)

    def config_of(
        self, kind: type[PromptedCLIP], clip: CLIP, stage: Stage, has_val: bool
    ) -> CfgNode:
        """The whole config of a stage; what stands in the method's last is less than the caller's
        own settings, what stands in an earlier one more."""
        prec = f"{settings_path(kind.name)}.PREC"
        given: dict[str, Any] = {
            "OPTIM.MAX_EPOCH": self.epochs,
            "OPTIM.LR": None if self.learning_rate is None else float(self.learning_rate),
            "DATALOADER.TRAIN_X.BATCH_SIZE": self.batch_size,
            prec: self.precision,
        }
        changes = dict(self.settings or {}) | {k: v for k, v in given.items() if v is not None}
        path = None if self.config is None else os.fspath(self.config)
        last = not kind.stages or stage is kind.stages[-1]
        order = (stage.settings, changes) if last else (changes, stage.settings)
        cfg = whole_config(kind, clip, path, *order)
        node, optim = settings_of(cfg, kind.name), cfg.OPTIM
        if path is None:  # what a recipe counts on may not be there
            if node.PREC == "fp16" and place(self.device).type != "cuda":
                node.PREC = "fp32"
            if node.get("TUNE") == "val" and not {"TUNE", f"{prec[:-5]}.TUNE"} & set(changes):
                node.TUNE = "val" if has_val else "none"
            if "OPTIM.WARMUP_EPOCH" not in changes:
                optim.WARMUP_EPOCH = min(optim.WARMUP_EPOCH, optim.MAX_EPOCH - 1)
        if self.chooses:
            cfg.TEST.FINAL_MODEL = "best_val"
        return cfg


def fit_stages(
    options: Options,
    clip: CLIP,
    classnames: Sequence[str],
    data: Labelled,
    val: Labelled | None,
    seed: int,
) -> Iterator[Fit]:
    """The trainings of a method, one for most, each from the prompts of the one before."""
    kind, state = find_method(own_name(options.method)), None
    for stage in kind.stages or (Stage(),):
        cfg = options.config_of(kind, clip, stage, bool(val or options.validation))
        own = (settings_of(cfg, kind.name)[stage.seed] if stage.seed else 0) or seed
        train, held = _picks(options, data, val, own)
        per_class = max(1, round(len(train.images) / len(classnames)))
        cfg.DATASET.NUM_SHOTS = options.shots or per_class
        _check(cfg, kind, clip, held)
        if state is None and not is_of_backbone(cfg):
            _warn_of_departures(cfg, clip)
        fit = Fit(
            cfg,
            kind,
            clip,
            classnames,
            train,
            held,
            place(options.device),
            options.workers,
            bool(options.verbose),
            options.chooses,
            options.patience,
            state,
        )
        with seeded(own):
            state = fit.run().prompt_learner.state_dict()
        yield fit


def place(device: str | torch.device | None) -> torch.device:
    """The device that is asked for, or CUDA if there is any; `ValueError` if it is not here."""
    try:
        return choose_device(str(device or "auto"))
    except ValueError as error:
        raise ValueError(str(error).removeprefix("--")) from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check(cfg: CfgNode, kind: type[PromptedCLIP], clip: CLIP, val: Labelled | None) -> None:
    check_all_settings(cfg, kind)
    try_settings(cfg, kind, clip)
    reads_as_seen(cfg.INPUT)
    tune = settings_of(cfg, kind.name).get("TUNE", "none")
    if tune == "test" or (tune == "val" and val is None):
        raise ValueError(
            f"{settings_path(kind.name)}.TUNE {tune!r}: there are no such pictures here; use "
            "'none', or 'val' with validation pictures"
        )


def _warn_of_departures(cfg: CfgNode, clip: CLIP) -> None:
    remark = departures(cfg.INPUT, clip.architecture, clip.name)
    if remark:
        warnings.warn(remark, stacklevel=4)


def _picks(
    options: Options, data: Labelled, val: Labelled | None, seed: int
) -> tuple[Labelled, Labelled | None]:
    """What is trained on, and what accuracy is measured on."""
    chosen, share = list(range(len(data.images))), options.validation
    if val is None and share is not None:
        held = held_out(data.labels, share, seed)
        if not held:
            raise ValueError(f"validation {share}: no class has a picture to spare")
        chosen, val = sorted(set(chosen) - set(held)), _part(data, held)
    if options.shots is not None:
        picked = few_shot([data.labels[i] for i in chosen], options.shots, seed)
        chosen = [chosen[i] for i in picked]
    return _part(data, chosen), val


def _part(data: Labelled, indices: Sequence[int]) -> Labelled:
    return Labelled([data.images[i] for i in indices], [data.labels[i] for i in indices])
