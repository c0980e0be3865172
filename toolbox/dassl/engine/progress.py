"""Exact resume: what a checkpoint holds so that a killed training ends as if never interrupted.

Beside weights, optimizer and schedule that is the position, the random states, and what training
changed in the trainer itself: gradient scalers and plain attributes such as counters, the best
result, averaged weights. Trainers do nothing for it. A checkpoint counts as a resume point when it
is *settled*: made between two batches or epochs, where all of this is known. A save made within a
hook of a trainer is settled as soon as the hook has returned.
"""

import itertools
import os
import random
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dassl.utils.plain import RefusedCheckpoint
from dassl.utils.torchtools import load_checkpoint, read_pointer, unwrap, write_checkpoint

WITHIN_EPOCH = "model-within-epoch.pth.tar"
_LOADERS = ("train_loader_x", "train_loader_u", "val_loader", "test_loader")
# Set by the loop itself, or settings of this very call.
_FRAMEWORK = {"epoch", "start_epoch", "max_epoch", "batch_idx", "num_batches"}
_FRAMEWORK |= {"cfg", "device", "output_dir", "time_start"}
_FRAMEWORK |= {"_models", "_optims", "_scheds", "_writer", "_progress"}


class Progress:
    """The position and surroundings of one trainer's training."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.running = False
        self.position: tuple[int, int] | None = None  # (epoch, batches done); None within a hook
        self.resumed: dict[str, Any] | None = None
        self._unsettled: tuple[str, str] | None = None
        self._epoch_start: dict[str, Any] | None = None
        self._initial: dict[str, Any] = {}

    def begin(self) -> None:
        """Called once resuming and every `before_train` are done: go to where the run stood."""
        self._initial = {k: _fingerprint(v) for k, v in self._attributes().items()}
        self.running = True
        if self.resumed is not None:
            self._restore_attributes(self.resumed)
            _set_random_state(self.resumed["random"], self.trainer)
            self._finish_interrupted_epoch_end()
            self.position = None

    def enter_epoch(self, batches: Iterator) -> None:
        """Called before the first batch; skips those that the resumed run had finished."""
        state, self.resumed = self.resumed, None
        if not state or not state["batch"]:
            self._epoch_start = _random_state(self.trainer)
            return
        # The same draws make the same order and worker seeds, hence the same batches.
        self._epoch_start = state["epoch_start"]
        _set_random_state(self._epoch_start, self.trainer)
        for _ in itertools.islice(batches, state["batch"]):
            pass
        self._restore_attributes(state)
        _set_random_state(state["random"], self.trainer)

    def batch_done(self) -> None:
        """Called after each batch of an epoch."""
        trainer = self.trainer
        done = trainer.batch_idx + 1
        self.settle(trainer.epoch, done)
        every = trainer.cfg.TRAIN.CHECKPOINT_BATCHES
        if self.running and every > 0 and done % every == 0:
            # The stored epoch is the number of finished ones: this one is not.
            trainer.save_model(trainer.epoch - 1, trainer.output_dir, model_name=WITHIN_EPOCH)
        self.position = None

    def settle(self, epoch: int, batch: int) -> None:
        """The run stands between two hooks: complete a checkpoint that was made within one."""
        self.position = (epoch, batch)
        target, self._unsettled = self._unsettled, None
        if target is None or not self.running:
            return
        directory, filename = target
        trainer = self.trainer
        state = self.state()
        for name in trainer.get_model_names():
            path = os.path.join(directory, name, filename)
            saved = load_checkpoint(path)
            live = unwrap(trainer._models[name]).state_dict()
            own = dict(state)
            if any(not torch.equal(live[k], v.to(live[k])) for k, v in saved["state_dict"].items()):
                own["weights"] = live
            write_checkpoint({**saved, **self.schedule_state(name), "run_state": own}, path)

    def schedule_state(self, name: str) -> dict[str, Any]:
        """What a checkpoint holds of a model's optimizer and schedule."""
        parts = {"optimizer": self.trainer._optims[name], "scheduler": self.trainer._scheds[name]}
        return {key: None if part is None else part.state_dict() for key, part in parts.items()}

    def saved(self, directory: str, filename: str) -> None:
        """Called after each save."""
        self._unsettled = (directory, filename) if self.position is None else None

    def state(self) -> dict[str, Any] | None:
        """What a checkpoint made now holds under `run_state`."""
        if not self.running:
            return None
        if self.position is None:
            return {"settled": False}
        held = vars(self.trainer)
        return {
            "settled": True,
            "epoch": self.position[0],
            "batch": self.position[1],
            "random": _random_state(self.trainer),
            "epoch_start": self._epoch_start if self.position[1] else None,
            "attributes": {
                name: value
                for name, value in self._attributes().items()
                if name not in self._initial or self._initial[name] != _fingerprint(value)
            },
            "scalers": {
                k: v.state_dict() for k, v in held.items() if isinstance(v, torch.amp.GradScaler)
            },
        }

    def _attributes(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self.trainer).items()
            if name not in _FRAMEWORK and _is_plain(value)
        }

    def _restore_attributes(self, state: dict[str, Any]) -> None:
        for name, value in state["attributes"].items():
            setattr(self.trainer, name, value)
        for name, value in state["scalers"].items():
            if value and hasattr(self.trainer, name):
                getattr(self.trainer, name).load_state_dict(value)

    def _finish_interrupted_epoch_end(self) -> None:
        """A kill between the best model and the checkpoint of an epoch: make the latter."""
        trainer, (epoch, batch) = self.trainer, (self.resumed["epoch"], self.resumed["batch"])
        names = trainer.get_model_names()
        path = os.path.join(trainer.output_dir, names[0], f"model.pth.tar-{epoch}")
        if batch == 0 and not os.path.exists(path) and trainer._checkpoint_due(epoch):
            self.position = (epoch, 0)
            trainer.save_model(epoch - 1, trainer.output_dir)


def find_resume_point(directory: str, names: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The newest file, and its content for each model, from which a run can go on.

    Every model must have it whole, settled and at the same position: a kill may have come between
    two of them.
    """
    pointers = [os.path.join(directory, name, "checkpoint") for name in names]
    if not names or not all(map(os.path.exists, pointers)):
        return None
    folder = os.path.join(directory, names[0])
    files = [f for f in os.listdir(folder) if f.startswith("model") and f != read_pointer(folder)]
    files.sort(key=lambda f: os.stat(os.path.join(folder, f)).st_mtime_ns, reverse=True)
    for filename in [read_pointer(folder), *files]:
        found, path = {}, ""
        try:
            for name in names:
                path = os.path.join(directory, name, filename)
                found[name] = load_checkpoint(path)
        except RefusedCheckpoint:
            raise
        except Exception as error:  # a damaged file fails in as many ways as there are damages
            warnings.warn(
                f"Cannot resume from {path}, trying the checkpoint before: {error}", stacklevel=3
            )
            continue
        states = [checkpoint.get("run_state") or {} for checkpoint in found.values()]
        positions = {
            (checkpoint["epoch"], state.get("epoch"), state.get("batch"))
            for checkpoint, state in zip(found.values(), states, strict=True)
        }
        if len(positions) == 1 and all(state.get("settled", True) for state in states):
            return filename, found
    return None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad
    if type(value) in (dict, OrderedDict):
        return all(isinstance(k, (str, int)) and _is_plain(v) for k, v in value.items())
    if type(value) in (list, tuple):
        return all(_is_plain(v) for v in value)
    return isinstance(value, (bool, int, float, str, type(None)))


def _fingerprint(value: Any) -> Any:
    """Equal before and after exactly if nothing changed; no tensor is copied for it."""
    if isinstance(value, Tensor):
        return _Version(value)
    if isinstance(value, dict):
        return {k: _fingerprint(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fingerprint(v) for v in value]
    return value


class _Version:
    """This very tensor, in-place changes counted."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.version = tensor, tensor._version

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, _Version) and self.tensor is other.tensor
        return same and self.version == other.version

    __hash__ = None


def _generators(trainer: Any) -> Iterable[tuple[str, torch.Generator]]:
    """Generators of the loaders a trainer built itself, and of the trainer."""
    holders = {"trainer": trainer, **{name: getattr(trainer, name, None) for name in _LOADERS}}
    for name, holder in holders.items():
        for part, owner in ((name, holder), (f"{name}.sampler", getattr(holder, "sampler", None))):
            for attribute, value in getattr(owner, "__dict__", {}).items():
                if isinstance(value, torch.Generator):
                    yield f"{part}.{attribute}", value


def _random_state(trainer: Any) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the state that trainings draw from
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if cuda else [],
        "generators": {name: value.get_state() for name, value in _generators(trainer)},
    }


def _set_random_state(state: dict[str, Any], trainer: Any) -> None:
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
    for name, generator in _generators(trainer):
        if name in state["generators"]:
            generator.set_state(state["generators"][name].cpu())
