"""CLIP in Hugging Face's format: a folder of `config.json` and weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architecture import Architecture
from ..weights import Weights
from .configs import read_json
from .hugging_face_config import describe
from .hugging_face_keys import to_openai
from .tensor_files import read_tensors

CONFIG = "config.json"
PROCESSOR, IMAGES = "processor_config.json", "preprocessor_config.json"
# In the order in which the library looks for them.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
ADAPTER = "adapter_config.json"


def read(folder: Path, weights: Path | None, name: str) -> Weights:
    """A model's folder, as transformers saves it.

    Args:
        weights: a file of its weights; None for the one that the library would take.
        name: that it goes by.

    Raises:
        ValueError: a model that is none that runs here, damaged files, half a set of them.
        OSError: a file that cannot be read.
    """
    architecture = architecture_in(folder)
    path = weights or weights_of(folder)
    return Weights(to_openai(read_tensors(path), str(path)), architecture, name)


def architecture_in(folder: Path) -> Architecture:
    """What a folder's configs say of its model; raises as `read`."""
    if (folder / ADAPTER).is_file():
        raise ValueError(
            f"{folder} has an {ADAPTER}: what its weights are is said by another folder and an "
            "adapter; merge them and save the model whole"
        )
    return describe(read_json(folder / CONFIG), read_preprocessor(folder), str(folder / CONFIG))


def weights_of(folder: Path) -> Path:
    """The file of a folder's weights, or the index of several.

    Raises:
        FileNotFoundError: there is none.
    """
    for file in WEIGHTS:
        if (folder / file).is_file():
            return folder / file
    others = sorted(p.name for p in folder.glob("*") if p.suffix in (".safetensors", ".bin"))
    there = f"; it has {', '.join(others)}" if others else ""
    raise FileNotFoundError(
        f"{folder} has a {CONFIG} and no weights beside it: {', '.join(WEIGHTS)} are looked for"
        f"{there}"
    )


def read_preprocessor(folder: Path) -> Mapping[str, Any] | None:
    """What a folder says of images: nested in one file as release 5 writes it, else in the other;
    None of a folder without them."""
    if (folder / PROCESSOR).is_file():
        nested = read_json(folder / PROCESSOR).get("image_processor")
        if isinstance(nested, Mapping):
            return nested
    return read_json(folder / IMAGES) if (folder / IMAGES).is_file() else None
