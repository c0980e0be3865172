"""Reading and writing the small files of a data set, with errors that say what to do."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What archives, file managers and network drives leave between the files of their users.
LEFTOVERS = {
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
}
MAX_NAMED = 5


class DatasetError(ValueError):
    """A data set on disk is not what its reader needs; the message is complete, and one line."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """`text` with line breaks, control characters and bytes that are no text written as escapes.

    File names may hold any of them.
    """
    unprintable = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
    return re.sub(unprintable, lambda c: c[0].encode("unicode_escape").decode(), text)


def named(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def counted(n: int, thing: str, things: str = "") -> str:
    """`1 file`, `2 files`, `2 classes`."""
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def say(message: str) -> None:
    """Tell the user. Printed, because the host's logger copies standard output to log.txt.

    What the console cannot show is escaped: a name must not end a run.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = printable(message).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, flush=True)


def require_file(path: Path) -> Path:
    """Return `path`, or raise DatasetError if no such file exists."""
    if not path.is_file():
        raise DatasetError(f"missing file: {path}")
    return path


def require_dir(path: Path) -> Path:
    """Return `path`, or raise DatasetError if no such directory exists."""
    if not path.is_dir():
        fault = "not a directory" if path.exists() else "missing directory"
        raise DatasetError(f"{fault}: {path}")
    return path


def read_text(path: Path) -> str:
    """A UTF-8 file's text, without the byte-order mark that some editors put before it."""
    try:
        return require_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise DatasetError(f"{path} is not UTF-8 text ({e}); fetch it again or delete it") from e
    except OSError as e:
        raise DatasetError(f"cannot read {path} ({e.strerror or e})") from e


def read_lines(path: Path) -> list[str]:
    """The non-empty lines of a text file, stripped."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_json(path: Path) -> Any:
    """Parsed JSON; raises DatasetError with the place of the first fault.

    A key that an object has twice, NaN and Infinity are faults: the standard has none of them,
    and Python would go on with the last of the two values.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DatasetError(f"{path}: an object has the key {twice!r} twice")
        return content

    def refuse(constant: str) -> None:
        raise DatasetError(f"{path}: {constant} is no JSON number")

    try:
        return json.loads(read_text(path), object_pairs_hook=unique, parse_constant=refuse)
    except DatasetError:
        raise
    except json.JSONDecodeError as e:
        raise DatasetError(
            f"{path} is not JSON (line {e.lineno}, column {e.colno}: {e.msg}); "
            "fetch it again or delete it"
        ) from e
    except (ValueError, RecursionError) as e:  # a number of thousands of digits; deep nesting
        raise DatasetError(f"{path} cannot be read as JSON ({e})") from e


def read_mat(path: Path, variable: str) -> Any:
    """One variable of a MATLAB file as an array, singleton dimensions but the last squeezed out."""
    import numpy as np  # both are needed only where a split is rebuilt from raw data
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(str(require_file(path)), squeeze_me=True)[variable])
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


def scan(directory: Path) -> list[os.DirEntry[str]]:
    """The entries of `directory` by name; raises DatasetError if they cannot be listed."""
    try:
        with os.scandir(require_dir(directory)) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as e:
        raise DatasetError(f"cannot list {directory} ({e.strerror or e})") from e


def is_leftover(name: str) -> bool:
    """Whether a name is hidden, or one of those that archives and file managers leave behind."""
    return name.startswith(".") or name.lower() in LEFTOVERS


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def list_visible(directory: Path) -> list[str]:
    """Sorted names in `directory`, hidden ones and archives' leftovers left out."""
    return [entry.name for entry in scan(directory) if not is_leftover(entry.name)]


def list_class(folder: Path) -> list[str]:
    """Sorted names of the files in a class folder; raises DatasetError if it is empty.

    An empty one is an unpacking that was cut short, and would leave a hole in the labels.
    """
    files = list_visible(folder)
    if not files:
        raise DatasetError(f"the class folder {folder} is empty")
    return files


def list_folders(directory: Path) -> list[str]:
    """Sorted names of the visible sub-directories of `directory`, without leftovers."""
    return [e.name for e in scan(directory) if is_folder(e) and not is_leftover(e.name)]
