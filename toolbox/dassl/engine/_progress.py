"""Exact resume: what a checkpoint holds so that a killed training ends as if never interrupted.

Beside weights, optimizer and schedule that is the position, the random states, and what training
changed in the trainer itself: gradient scalers and plain attributes such as counters, the best
result, averaged weights. Trainers do nothing for it: what a hook of theirs saved is completed when
the hook has returned, and is a resume point from then on.
"""

import copy
import itertools
import os
import random
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dassl.utils._plain import RefusedCheckpoint, load_data
from dassl.utils.torchtools import (
    apply_checkpoint,
    load_checkpoint,
    read_pointer,
    unwrap,
    write_checkpoint,
)

_OF_THE_ORIGINAL = {"epoch": "finished", "batch": "last"}  # the only moment it knows
WITHIN_EPOCH = "model-within-epoch.pth.tar"
_LOADERS = ("train_loader_x", "train_loader_u", "val_loader", "test_loader")
# Set by the loop itself, or settings of this very call.
_FRAMEWORK = {"epoch", "start_epoch", "max_epoch", "batch_idx", "num_batches"}
_FRAMEWORK |= {"cfg", "device", "output_dir", "time_start"}
_FRAMEWORK |= {"_models", "_optims", "_scheds", "_writer", "_progress"}


class Progress:
    """The position and surroundings of one trainer's training.

    Attributes:
        run_state: what a save made now holds of all this; nothing within a hook, which may go on to
            change it, and None outside `train()`.
        resumed: the checkpoint of each model that training goes on from, until it does.
        saved: folder and file name of the saves that are to be completed.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.run_state: dict[str, Any] | None = None
        self.resumed: dict[str, dict[str, Any]] = {}
        self.saved: list[tuple[str, str]] = []
        self._epoch_start: dict[str, Any] | None = None
        self._initial: dict[str, Any] = {}

    def begin(self) -> None:
        """Called once resuming and every `before_train` are done: go to where the run stood."""
        self.saved = []
        self._initial = {k: _fingerprint(v) for k, v in self._attributes().items()}
        # A copy, since the hooks before the first batch may change what they get.
        self._restore(copy.deepcopy(self.resumed))

    def enter_epoch(self, batches: Iterator) -> None:
        """Called before the first batch; skips those that the resumed run had finished."""
        state, checkpoints = self.resumed_state, self.resumed
        self.resumed = {}
        if not state["batch"]:
            self._epoch_start = _random_state(self.trainer)
            return
        # The same draws make the same order and worker seeds, hence the same batches.
        self._epoch_start = state["epoch_start"]
        _set_random_state(self._epoch_start, self.trainer)
        for self.trainer.batch_idx, _ in itertools.islice(batches, state["batch"]):
            pass
        # The hooks before the first batch have run again, on what they had changed already.
        self._restore(checkpoints)

    @property
    def resumed_state(self) -> dict[str, Any]:
        """The `run_state` of the checkpoint that training goes on from: that of all models."""
        return next((c["run_state"] for c in self.resumed.values()), {"batch": 0})

    def batch_done(self) -> None:
        """Called after each batch of an epoch."""
        trainer, done = self.trainer, self.trainer.batch_idx + 1
        self.complete(trainer.epoch, done)
        every = trainer.cfg.TRAIN.CHECKPOINT_BATCHES
        if self.run_state is not None and every > 0 and done % every == 0:
            with self.nothing_follows(trainer.epoch, done):
                # The stored epoch is the number of finished ones: this one is not.
                trainer.save_model(trainer.epoch - 1, trainer.output_dir, model_name=WITHIN_EPOCH)
            self.complete(trainer.epoch, done)

    @contextmanager
    def nothing_follows(self, epoch: int, batch: int) -> Iterator[None]:
        """The run stands after so many epochs and batches: saves are resume points at once."""
        if self.run_state is None or self.trainer._own_save_model:
            yield  # a save_model that was overridden may hold other weights than the live ones
            return
        before, self.run_state = list(self.saved), self._state(epoch, batch)
        try:
            yield
        finally:
            self.saved, self.run_state = before, {}

    def complete(self, epoch: int, batch: int) -> None:
        """The run stands there, between two hooks: make what they saved resume points."""
        saved, self.saved = dict.fromkeys(self.saved), []
        if not saved or self.run_state is None:
            return
        run_state = self._state(epoch, batch)
        for (directory, filename), name in itertools.product(saved, self.trainer.get_model_names()):
            path = os.path.join(directory, name, filename)
            try:
                checkpoint = load_data(path, "cpu")
                ours = checkpoint["run_state"] == {}
            except Exception:  # the hook took the file away, or wrote another one there
                continue
            if ours:
                model, optim, sched = self.trainer._registered(name)
                live = {k.removeprefix("module."): v for k, v in unwrap(model).state_dict().items()}
                own = {} if _same(live, checkpoint["state_dict"]) else {"weights": live}
                checkpoint |= schedule_state(optim, sched)
                write_checkpoint({**checkpoint, "run_state": {**run_state, **own}}, path)

    def _state(self, epoch: int, batch: int) -> dict[str, Any]:
        attributes, initial = self._attributes(), self._initial
        return {
            "epoch": epoch,
            "batch": batch,
            "random": _random_state(self.trainer),
            "epoch_start": self._epoch_start if batch else None,
            "attributes": {
                name: value
                for name, value in attributes.items()
                if name not in initial or initial[name] != _fingerprint(value)
            },
            "scalers": {name: scaler.state_dict() for name, scaler in self._scalers().items()},
        }

    def _attributes(self) -> dict[str, Any]:
        held = vars(self.trainer).items()
        return {name: v for name, v in held if name not in _FRAMEWORK and _is_plain(v)}

    def _scalers(self) -> dict[str, torch.amp.GradScaler]:
        held = vars(self.trainer).items()
        return {name: v for name, v in held if isinstance(v, torch.amp.GradScaler)}

    def _restore(self, checkpoints: dict[str, dict[str, Any]]) -> None:
        for name, checkpoint in checkpoints.items():
            apply_checkpoint(checkpoint, name, *self.trainer._registered(name), say=lambda _: None)
            state = checkpoint["run_state"]
        if not checkpoints:
            return
        for name, value in state["attributes"].items():
            setattr(self.trainer, name, value)
        for name, scaler in self._scalers().items():
            if state["scalers"].get(name):
                scaler.load_state_dict(state["scalers"][name])
        _set_random_state(state["random"], self.trainer)


def schedule_state(optim: Any, sched: Any) -> dict[str, Any]:
    """What a checkpoint holds of a model's optimizer and schedule."""
    parts = {"optimizer": optim, "scheduler": sched}
    return {key: None if part is None else part.state_dict() for key, part in parts.items()}


def find_resume_point(directory: str, names: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The newest file, and its content for each model, from which a run can go on.

    Every model must have it whole, completed and at the same position: a kill may have come between
    two of them.
    """
    pointers = [os.path.join(directory, name, "checkpoint") for name in names]
    if not names or not all(map(os.path.exists, pointers)):
        return None
    newest, folder = read_pointer(os.path.dirname(pointers[0])), os.path.dirname(pointers[0])
    others = {f: os.path.join(folder, f) for f in os.listdir(folder) if f.startswith("model")}
    others = {f: os.stat(p).st_mtime_ns for f, p in others.items() if os.path.isfile(p)}
    for filename in [newest, *sorted(others.keys() - {newest}, key=others.get, reverse=True)]:
        found, moments, path = {}, set(), ""
        try:
            for name in names:
                path = os.path.join(directory, name, filename)
                found[name] = load_checkpoint(path)
                state = found[name].get("run_state", _OF_THE_ORIGINAL)
                moments.add((found[name]["epoch"], state.get("epoch"), state.get("batch")))
        except Exception as error:  # a damaged file fails in as many ways as there are damages
            if isinstance(error, RefusedCheckpoint) and filename == newest:
                raise
            warnings.warn(
                f"Cannot resume from {path}, trying the checkpoint before: {error}", stacklevel=3
            )
            continue
        if len(moments) == 1 and None not in moments.pop():
            return filename, found
    return None


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        both = isinstance(a, Tensor) and isinstance(b, Tensor)
        return torch.equal(a.to(b), b) if both else a is b

    return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)


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
        # An inference tensor counts nothing: it cannot be changed outside of inference either.
        self.tensor, self.version = tensor, None if tensor.is_inference() else tensor._version

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, _Version) and self.tensor is other.tensor
        return same and self.version == other.version

    __hash__ = None


def _generators(trainer: Any) -> Iterable[tuple[str, torch.Generator]]:
    """Generators of the trainer, of the loaders it built itself, and of their samplers."""
    owners = {"trainer": trainer, **{name: getattr(trainer, name, None) for name in _LOADERS}}
    for part in ("sampler", "batch_sampler", "batch_sampler.sampler"):
        for name in _LOADERS:
            with suppress(AttributeError):
                owners[f"{name}.{part}"] = attrgetter(part)(owners[name])
    for name, owner in owners.items():
        for attribute, value in getattr(owner, "__dict__", {}).items():
            if isinstance(value, torch.Generator):
                yield f"{name}.{attribute}", value


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
