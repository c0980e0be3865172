"""Reading and writing the small files of a data set, with errors that say what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class DatasetError(RuntimeError):
    """A data set on disk is not what its reader needs; the message is complete on its own."""


def say(message: str) -> None:
    """Tell the user. Printed, because the host's logger copies standard output to log.txt."""
    print(message, flush=True)


def require_file(path: Path) -> Path:
    """Return `path`, or raise DatasetError if no such file exists."""
    if not path.is_file():
        raise DatasetError(f"missing file: {path}")
    return path


def require_dir(path: Path) -> Path:
    """Return `path`, or raise DatasetError if no such directory exists."""
    if not path.is_dir():
        raise DatasetError(f"missing directory: {path}")
    return path


def read_lines(path: Path) -> list[str]:
    """The non-empty lines of a text file, stripped."""
    text = require_file(path).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_json(path: Path) -> Any:
    """Parsed JSON; raises DatasetError with the place of the first fault."""
    try:
        return json.loads(require_file(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as e:
        raise DatasetError(
            f"{path} is not JSON (line {e.lineno}, column {e.colno}: {e.msg}); "
            "fetch it again or delete it"
        ) from e
    except UnicodeDecodeError as e:
        raise DatasetError(f"{path} is not UTF-8 text ({e}); fetch it again or delete it") from e


def read_mat(path: Path, variable: str) -> Any:
    """One variable of a MATLAB file, singleton dimensions squeezed out."""
    from scipy.io import loadmat  # needed only where a split is rebuilt from raw data

    try:
        return loadmat(str(require_file(path)), squeeze_me=True)[variable]
    except DatasetError:
        raise
    except Exception as e:  # scipy raises many types for a file that is not what it says
        raise DatasetError(f"{path}: cannot read the variable {variable!r} ({e})") from e


def write_json(obj: Any, path: Path) -> None:
    """Write JSON in the ecosystem's format, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own per process: runs that start together may write the same file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as f:
            json.dump(obj, f, indent=4, separators=(",", ": "))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def try_write_json(obj: Any, path: Path, consequence: str) -> bool:
    """Write JSON; on a data root that cannot be written, say so once and go on.

    Data roots are often shared and read-only. What is written there saves work or freezes a
    choice; nothing that a seeded run computes depends on it.
    """
    try:
        write_json(obj, path)
    except OSError as e:
        say(f"Cannot write {path} ({e.strerror or e}): {consequence}")
        return False
    return True


def list_visible(directory: Path) -> list[str]:
    """Sorted names in `directory`, hidden ones left out."""
    return sorted(n for n in os.listdir(require_dir(directory)) if not n.startswith("."))


def list_class(folder: Path) -> list[str]:
    """Sorted names of the files in a class folder; raises DatasetError if it is empty.

    An empty one is an unpacking that was cut short, and would leave a hole in the labels.
    """
    files = list_visible(folder)
    if not files:
        raise DatasetError(f"the class folder {folder} is empty")
    return files


def list_folders(directory: Path) -> list[str]:
    """Sorted names of the visible sub-directories of `directory`."""
    require_dir(directory)
    with os.scandir(directory) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
