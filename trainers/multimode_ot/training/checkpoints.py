"""Finding and reading checkpoints of this project and of the methods' original repositories.

No code of a file ever runs. The originals' files hold, besides tensors, the pickled scheduler and
optimizer objects of their training; those are read into inert stand-ins and never used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..backbone.state_dicts import require_tensors

BEST = "model-best.pth.tar"  # the file of the best on validation images


class Inert:
    """Takes the place of a pickled object: holds its attributes, does nothing."""

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


def _defaultdict(*_factory: Any) -> dict:
    """An optimizer's state is a defaultdict, which the restricted reader admits but cannot fill."""
    return {}


# The reader finds what is admitted by the name that it bears.
_defaultdict.__module__ = "collections"
_defaultdict.__name__ = _defaultdict.__qualname__ = "defaultdict"
_INERT = [
    type(name, (Inert,), {"__module__": module, "__qualname__": name})
    for module, name in (
        ("torch.optim.lr_scheduler", "CosineAnnealingLR"),
        ("torch.optim.lr_scheduler", "MultiStepLR"),
        ("torch.optim.lr_scheduler", "StepLR"),
        ("torch.optim.sgd", "SGD"),
        ("torch.optim.adam", "Adam"),
        ("torch.optim.adamw", "AdamW"),
    )
]


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """A checkpoint's dictionary, on the CPU; its `state_dict` is there, its `epoch` maybe.

    A bare state dict is taken as one, and so is a file of CLIP-LoRA's program, which `load_prompts`
    unpacks.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one with an object of an unknown class; it is named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with torch.serialization.safe_globals([*_INERT, _defaultdict, dict]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # what the reader raises on damaged bytes has no common type
        raise ValueError(f"{path} is not read as a checkpoint: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a checkpoint: it holds a {type(content).__name__}")
    checkpoint = content if "state_dict" in content else {"state_dict": content}
    if set(content) == {"weights", "metadata"}:
        return checkpoint
    try:
        require_tensors(checkpoint["state_dict"])
    except ValueError as error:
        raise ValueError(f"{path} is not a checkpoint: {error}") from None
    return checkpoint


# The record travels with the schedule's state, the one part of a checkpoint that a trainer can add
# plain data to on every Dassl.


def put_record(scheduler: Any, record: Mapping[str, Any]) -> None:
    """Have all checkpoints hold the record of the run that makes them."""
    scheduler.made_of = dict(record)


def record_in(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the run that made a checkpoint; None for originals and earlier versions."""
    scheduler = checkpoint.get("scheduler")
    record = scheduler.get("made_of") if isinstance(scheduler, dict) else None
    return record if isinstance(record, dict) else None


class MethodState:
    """A method's own state of training, in the form of a part's."""

    def __init__(self, model: Any):
        self.state_dict, self.load_state_dict = model.training_state, model.load_training_state


def keep_state(scheduler: Any, parts: Mapping[str, Any]) -> None:
    """Have the next checkpoints hold the state of those parts that have some, by their names."""
    states = {name: state for name, part in parts.items() if (state := part.state_dict())}
    if states:
        scheduler.parts = states


def take_state(scheduler: Any, parts: Mapping[str, Any]) -> None:
    """Give the parts back what the checkpoint that was resumed from holds of them."""
    states = getattr(scheduler, "parts", {})
    for name, part in parts.items():
        if name in states:
            part.load_state_dict(states[name])


def _reason(error: Exception) -> str:
    """Torch's message without its advice to read the file without protection."""
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused:
        return f"it holds {refused[1]}, which is not a tensor or plain data"
    detail = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    return detail.split("\n")[0] or type(error).__name__


def find_checkpoint(directory: str | os.PathLike, name: str, epoch: int | None = None) -> Path:
    """`<directory>/<name>/model.pth.tar-<epoch>`, or `model-best.pth.tar` without an epoch.

    Raises:
        FileNotFoundError: it is not there; what is there is listed.
    """
    folder = Path(directory) / name
    path = folder / (BEST if epoch is None else f"model.pth.tar-{epoch}")
    if path.is_file():
        return path
    beside = folder if folder.is_dir() else Path(directory)
    there = sorted(p.name for p in beside.iterdir()) if beside.is_dir() else []
    hint = "give an epoch with --load-epoch" if epoch is None else "choose another --load-epoch"
    raise FileNotFoundError(
        f"no checkpoint {path}: {beside} has {', '.join(there) or 'nothing'}; {hint}"
    )
