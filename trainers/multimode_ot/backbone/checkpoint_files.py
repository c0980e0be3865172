"""Reading files that `torch.save` has written: of this project and of original repositories.

No code of a file ever runs. The originals' files hold, besides tensors, the pickled scheduler and
optimizer objects of their training; those are read into inert stand-ins and never used.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from .state_dicts import require_tensors


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
    if isinstance(content, torch.Tensor):
        raise ValueError(
            f"{path} is not a checkpoint: it holds a bare tensor {tuple(content.shape)}, which "
            "does not say of which images and classes it is: it must be a dict of named tensors"
        )
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


def _reason(error: Exception) -> str:
    """Torch's message without its advice to read the file without protection."""
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused:
        return f"it holds {refused[1]}, which is not a tensor or plain data"
    detail = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    return detail.split("\n")[0] or type(error).__name__
