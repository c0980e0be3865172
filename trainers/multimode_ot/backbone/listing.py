"""All backbones that a name stands for, from their configs alone: no weights are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from .architecture import OPENAI, Architecture, Preprocessing
from .clip import vision_tower
from .downloads import hub, open_clip, openai
from .formats.shapes import VOCABULARY, shape_of
from .layers import Transformer
from .names import OPENAI as OPENAI_NAMES
from .names import THROUGH, advertised, advertised_names, check_backbone, path_of
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
        yield _of_openai(name)
    for name in advertised_names():
        yield _of_a_package(name)
    if not THROUGH[open_clip.PREFIX].missing():
        for pair in open_clip.supported():
            yield _of_open_clip(pair)


def look_up(name: str) -> Listed:
    """One backbone by whatever it is called. Files and folders are read; nothing is downloaded.

    Raises:
        ValueError, OSError, ImportError: as `read_weights`, and of what cannot be run here.
    """
    check_backbone(name)
    if name.startswith(open_clip.PREFIX):
        return _of_open_clip(open_clip.pair_of(name))
    if name.startswith(hub.PREFIX):
        folder = hub.place(name)
        known = described(name) if folder else None
        return Listed(name, known, folder, hub.source(name))
    if name in OPENAI_NAMES:
        return _of_openai(name)
    if path_of(name).exists():
        return Listed(name, described(name), path_of(name), str(path_of(name)))
    return _of_a_package(name)


def _of_openai(name: str) -> Listed:
    shape, place = OPENAI_SHAPES[name], openai.place(name)
    architecture = Architecture(OPENAI, OPENAI, Preprocessing(shape.resolution), shape)
    return Listed(name, architecture, place if place.is_file() else None, str(place))


def _of_open_clip(pair: open_clip.Pair) -> Listed:
    return Listed(
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
