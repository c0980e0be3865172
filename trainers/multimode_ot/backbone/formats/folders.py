"""Weights with a config beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architecture import Architecture
from ..names import CONFIGS
from ..weights import Weights
from . import hugging_face, open_clip
from .hugging_face_keys import is_hugging_face


def read_folder(folder: Path, name: str) -> Weights:
    """A folder in open_clip's format or, if it is in none, in Hugging Face's.

    Raises:
        ValueError: it has neither config, or what is there cannot be run here.
        OSError: a file is missing or cannot be read.
    """
    if (folder / open_clip.CONFIG).is_file():
        return open_clip.read(folder, None, name)
    if (folder / hugging_face.CONFIG).is_file():
        return hugging_face.read(folder, None, name)
    raise ValueError(f"{folder} has neither {' nor '.join(CONFIGS)}")


def architecture_beside(path: Path, tensors: Mapping[str, Any]) -> Architecture | None:
    """What a config beside a file of weights, of the same layout, says of them; None without one.

    Args:
        tensors: what the file holds.
    """
    layout = hugging_face if is_hugging_face(tensors) else open_clip
    if not (path.parent / layout.CONFIG).is_file():
        return None
    return layout.architecture_in(path.parent)
