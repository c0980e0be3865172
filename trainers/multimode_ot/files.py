"""Small files written whole or not at all, with the permissions that any new file gets."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def write_whole(path: str | os.PathLike, write: Callable[[TextIO], Any]) -> Path:
    """Let `write` fill a UTF-8 file that takes its place when it is complete.

    Raises:
        OSError: a folder that cannot be made or written; nothing is left of the attempt.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            write(stream)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


@contextmanager
def whole_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A folder to be filled, which takes its place when all is in it, and else is removed. One that
    is there stays until then, and is replaced.

    Raises:
        OSError: a place where none can be made.
    """
    path = Path(path).absolute()
    partial, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for folder in (partial, old):
            shutil.rmtree(folder, ignore_errors=True)


def require_folder(path: str | os.PathLike, name: str) -> Path:
    """Raise `NotADirectoryError` unless a path is a folder, or can become one.

    Args:
        name: of the option that gives it.
    """
    path = Path(path)
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise NotADirectoryError(f"{name} {path}: {place} is a file, not a folder")
            break
    return path


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Indented JSON, whole or not at all. NaN and Inf, which JSON has not, are a `ValueError`."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    return write_whole(path, lambda stream: stream.write(text + "\n"))
