"""A folder of files that belong together, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

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
    """Let `fill` make the files in a folder beside, then put that in place in one step; what was
    there goes, or stays if it fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("tmp", "old")
    )
    try:
        partial.mkdir()
        fill(partial)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for rest in (partial, old):
            shutil.rmtree(rest, ignore_errors=True)
    return folder
