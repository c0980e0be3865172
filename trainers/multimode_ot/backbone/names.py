"""What a backbone may be called, known without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..config import require_known
from .architecture import Architecture, Preprocessing, told_architecture

ENTRY_POINTS = "multimode_ot.backbones"
OPENAI = (
    "RN50",
    "RN101",
    "RN50x4",
    "RN50x16",
    "RN50x64",
    "ViT-B/32",
    "ViT-B/16",
    "ViT-L/14",
    "ViT-L/14@336px",
)


@dataclass(frozen=True)
class Advertised:
    """Weights that an installed package advertises.

    Attributes:
        path: of the file or folder.
        says: what its tensors do not tell: `activation` and `head_width` as in `load_clip`, and
            maybe `mean`, `std`, `interpolation`, `resize` (`architecture.Preprocessing`).
    """

    name: str
    path: Path
    says: Mapping[str, Any]

    def architecture(self, resolution: int) -> Architecture:
        """What runs them, for images of a size; `ValueError` for what is none."""
        says = dict(self.says)
        told = says.pop("activation", None), says.pop("head_width", None)
        ran_by = told_architecture(*told, f"the backbone {self.name} of an installed package")
        try:
            seen = Preprocessing(resolution, **says) if says else None
        except TypeError as error:
            raise ValueError(f"the backbone {self.name} of an installed package: {error}") from None
        return Architecture(ran_by.vision, ran_by.text, seen)


def available_backbones() -> list[str]:
    """CLIP's model names, then those that installed packages advertise.

    A package advertises weights by an entry point in the group `multimode_ot.backbones` whose
    value is a function without arguments. It returns the path of a file or folder that says itself
    how it is run, or a mapping of `path` and what `Advertised.says` names.
    """
    return [*OPENAI, *sorted(e.name for e in entry_points(group=ENTRY_POINTS))]


def check_backbone(name: str) -> None:
    """Raise `ValueError` unless `name` is a known backbone, a file or a folder; loads nothing."""
    names = available_backbones()
    if name in names or path_of(name).exists():
        return
    require_known("MODEL.BACKBONE.NAME", name, [*names, "the path of a file or folder"])


def path_of(name: str) -> Path:
    """A name as a path of this machine."""
    return Path(name).expanduser()


def advertised(name: str) -> Advertised | None:
    """What an installed package advertises under a name; None of a file that is there."""
    if path_of(name).exists():
        return None
    entry = next((e for e in entry_points(group=ENTRY_POINTS) if e.name == name), None)
    if entry is None:
        return None
    found = entry.load()()
    says = dict(found) if isinstance(found, Mapping) else {"path": found}
    return Advertised(name, Path(says.pop("path")), says)
