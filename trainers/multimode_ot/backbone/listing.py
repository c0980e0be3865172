"""All backbones that a name stands for, from their configs alone: no weights are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from .architecture import OPENAI, Architecture, Preprocessing
from .clip import vision_tower
from .downloads import open_clip, openai
from .formats.shapes import VOCABULARY, shape_of
from .layers import Transformer
from .names import OPENAI as OPENAI_NAMES
from .names import THROUGH, advertised, advertised_names
from .openai_shapes import OPENAI_SHAPES
from .sources import read_weights


@dataclass(frozen=True)
class Listed:
    """One backbone.

    Attributes:
        architecture: what runs it, with its shape; None where that is not known, or where it cannot
            run here.
        place: the file or folder, if it is on this machine.
        source: where it would be looked for.
        refused: why it cannot be used here.
    """

    name: str
    architecture: Architecture | None
    place: Path | None
    source: str
    refused: str = ""

    @property
    def parameters(self) -> int:
        """How many numbers its two towers hold."""
        return 0 if self.architecture is None else parameters_of(self.architecture)


def listed() -> Iterator[Listed]:
    """OpenAI's models, those of installed packages, and those of open_clip if it is installed."""
    for name in OPENAI_NAMES:
        shape = OPENAI_SHAPES[name]
        architecture = Architecture(OPENAI, OPENAI, Preprocessing(shape.resolution), shape)
        place = openai.place(name)
        yield Listed(name, architecture, place if place.is_file() else None, str(place))
    for name in advertised_names():
        yield _of_a_package(name)
    if not THROUGH[open_clip.PREFIX].missing():
        yield from _of_open_clip()


def _of_open_clip() -> Iterator[Listed]:
    for pair in open_clip.supported():
        yield Listed(
            open_clip.name_of(*pair),
            open_clip.architecture(*pair),
            open_clip.place(*pair),
            open_clip.source(*pair),
        )


def _of_a_package(name: str) -> Listed:
    try:
        found = advertised(name)
        path = found.path if found else Path(name)
        return Listed(name, described(name), path if path.exists() else None, str(path))
    except Exception as error:  # whatever a stranger's package does: the others are still listed
        return Listed(name, None, None, "an installed package", str(error))


def described(name: str) -> Architecture:
    """What runs a backbone that is here, with its shape; raises as `read_weights`."""
    weights = read_weights(name)
    return replace(weights.architecture, shape=shape_of(weights.state, name))


def parameters_of(architecture: Architecture) -> int:
    """The parameters of both towers, from the shape alone."""
    shape = architecture.shape
    if shape is None:
        return 0
    with torch.device("meta"):
        text = Transformer(
            shape.text_width, shape.text_hidden, shape.text_layers, architecture.text
        )
        modules: list[nn.Module] = [vision_tower(shape, architecture.vision), text]
    counted = sum(p.numel() for module in modules for p in module.parameters())
    words = (VOCABULARY + shape.context_length + shape.embed + 2) * shape.text_width
    return counted + words + 1
