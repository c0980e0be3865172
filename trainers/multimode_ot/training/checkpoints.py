"""Finding checkpoints, and what those of this project hold besides tensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..backbone.checkpoint_files import read_checkpoint as read_checkpoint

BEST = "model-best.pth.tar"  # the file of the best on validation images

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
