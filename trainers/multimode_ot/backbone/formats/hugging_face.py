"""CLIP in Hugging Face's format: a folder of `config.json` and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..weights import Weights
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
    if (folder / ADAPTER).is_file():
        raise ValueError(
            f"{folder} has an {ADAPTER}: what its weights are is said by another folder and an "
            "adapter; merge them and save the model whole"
        )
    config = read_json(folder / CONFIG)
    architecture = describe(config, read_preprocessor(folder), str(folder / CONFIG))
    path = weights or weights_of(folder)
    return Weights(to_openai(read_tensors(path), str(path)), architecture, name)


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


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file of JSON holds; `ValueError` with its path if it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON, or damaged ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, and keys are wanted")
    return content
