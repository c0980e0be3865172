"""A folder of files that belong together, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..files import whole_folder
from .content import CONTENT


def require_replaceable(folder: Path) -> None:
    """Raise `FileExistsError` unless a folder can be written: it is not there, or empty, or holds a
    classifier that was saved before."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: a classifier is saved as a folder")
    if any(folder.iterdir()) and not (folder / CONTENT).is_file():
        raise FileExistsError(
            f"{folder} is there and holds no saved classifier (no {CONTENT}): choose another folder"
        )


def write_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Let `fill` make the files of a folder, whole or not at all."""
    with whole_folder(folder) as partial:
        fill(partial)
    return folder
