"""What a backbone may be called, known without torch."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from ..config import require_known

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


def available_backbones() -> list[str]:
    """CLIP's model names, then those that installed packages advertise.

    A package advertises weights by an entry point in the group `multimode_ot.backbones` whose
    value is a function without arguments that returns the path of a state-dict file.
    """
    return [*OPENAI, *sorted(e.name for e in entry_points(group=ENTRY_POINTS))]


def check_backbone(name: str) -> None:
    """Raise `ValueError` unless `name` is a known backbone or a file; loads nothing."""
    names = available_backbones()
    if name in names or Path(name).expanduser().is_file():
        return
    require_known("MODEL.BACKBONE.NAME", name, [*names, "the path of a file"])


def own_file(name: str) -> Path | None:
    """The file that is named, or that an installed package advertises under the name."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    entries = (e for e in entry_points(group=ENTRY_POINTS) if e.name == name)
    return next((Path(entry.load()()) for entry in entries), None)
