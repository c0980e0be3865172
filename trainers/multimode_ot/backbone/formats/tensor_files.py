"""Files of tensors: safetensors, what torch has saved, sets of several files, OpenAI's archives. No
code of one ever runs that was pickled.

What is read lies in memory of its own, once: a file that is written anew in its place, while a
model of it still runs, changes nothing.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .shapes import NO_CLIP

INDEX_END = ".index.json"
_LENGTH = 8  # bytes of a safetensors file that say how long its header is
_LONGEST = 2**40  # no header comes near it, and what begins otherwise does
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"


def read_tensors(path: Path) -> Any:
    """What a file holds, on the CPU: a state dict, or a mapping around one.

    Args:
        path: safetensors, torch's (also gzipped), or the index of a set of such files. Which of
            them it is, its first bytes say; what it is called does not matter.

    Raises:
        ValueError: with the path: a damaged file, one of something else, or half a set.
        OSError: one that cannot be read.
    """
    _require_file(path)
    with path.open("rb") as stream:
        head = stream.read(512)
    _require_content(path, head)
    if path.name.endswith(INDEX_END):
        return _read_set(path)
    if _begins_as_safetensors(head):
        return _read_safetensors(path, head)
    if path.suffix == ".safetensors" and not head.startswith((_ZIP, b"\x80")):
        raise ValueError(f"{path} {NO_CLIP}: it does not begin with the header of safetensors")
    return _read_pickle(path, head)


def _require_file(path: Path) -> None:
    """Refuse folders, and what would be waited for or read without end, such as pipes."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or device"
        raise ValueError(f"{path} {NO_CLIP}: it is {what}, and a file of tensors is read here")


def _require_content(path: Path, head: bytes) -> None:
    """Refuse what lies in place of weights."""
    if not head:
        raise ValueError(f"{path} {NO_CLIP}: it is empty")
    if head.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"{path} {NO_CLIP}: it is a pointer of git-lfs, not the file that it points to: "
            "fetch it with `git lfs pull`, or download the file itself"
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(
            f"{path} {NO_CLIP}: it is a web page, maybe what a server said instead of sending the "
            "file: download it anew"
        )


def _begins_as_safetensors(head: bytes) -> bool:
    if len(head) <= _LENGTH or head[_LENGTH : _LENGTH + 1] != b"{":
        return False
    return struct.unpack("<Q", head[:_LENGTH])[0] < _LONGEST


def _read_safetensors(path: Path, head: bytes) -> dict[str, Tensor]:
    (length,) = struct.unpack("<Q", head[:_LENGTH])
    size = path.stat().st_size
    if length > size - _LENGTH:
        raise ValueError(
            f"{path} {NO_CLIP}: it is cut: its header has {length} bytes, and the whole file {size}"
        )
    try:
        with safe_open(path, framework="pt") as tensors:
            keys = list(tensors.keys())
        return {key: _copied(path, key) for key in keys}
    except SafetensorError as error:
        short = _bytes_missing(path, length, size)
        fault = f"it is cut: {short} bytes are missing" if short > 0 else f"it is damaged ({error})"
        raise ValueError(f"{path} {NO_CLIP}: {fault}") from None


def _copied(path: Path, key: str) -> Tensor:
    """A tensor of the file, which is mapped for it alone: the pages of all would stay till the end,
    beside their copies."""
    with safe_open(path, framework="pt") as tensors:
        return tensors.get_tensor(key).clone()


def _bytes_missing(path: Path, length: int, size: int) -> int:
    """How many bytes a file is shorter than its header says; 0 where that says nothing."""
    with path.open("rb") as stream:
        stream.seek(_LENGTH)
        header = stream.read(length)
    try:
        content = json.loads(header)
        ends = [v["data_offsets"][1] for k, v in content.items() if k != "__metadata__"]
        return int(max(ends, default=0)) + _LENGTH + length - size
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return 0


def _read_pickle(path: Path, head: bytes) -> Any:
    try:
        with path.open("rb") as stream:
            content: BinaryIO = stream
            if head.startswith(_GZIP):
                with gzip.open(stream) as unpacked:
                    content = io.BytesIO(unpacked.read())
            # By its stream: torch would take the name of a file for what it holds.
            return torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # what damaged bytes raise has no common type
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        # Not chained: torch's message advises to load the file with its code.
        raise ValueError(f"{path} {NO_CLIP}: {_fault(head, error)}") from None


def _fault(head: bytes, error: Exception) -> str:
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused:
        return f"it holds {refused[1]}; what is more than tensors and plain values is never loaded"
    if head.startswith((_ZIP, _GZIP)):
        return "it is cut or damaged, or holds more than tensors, which is never loaded"
    return (
        "it is damaged, no file of torch.save, or holds more than tensors and plain values, which "
        "is never loaded"
    )


def _read_set(index: Path) -> dict[str, Tensor]:
    """The tensors of a set of files, each from the file where the index says that it is."""
    places = places_of(index)
    files = dict.fromkeys(places.values())
    missing = [file for file in files if not (index.parent / file).is_file()]
    if missing:
        raise ValueError(
            f"{index}: {len(missing)} of the {len(files)} files of its set are missing from "
            f"{index.parent}: {', '.join(missing)}"
        )
    state: dict[str, Tensor] = {}
    for file in files:
        held = read_tensors(index.parent / file)
        for key in (key for key, place in places.items() if place == file):
            if not isinstance(held, Mapping) or key not in held:
                raise ValueError(
                    f"{index.parent / file} lacks {key}, which {index.name} says is there: they "
                    "belong to different sets"
                )
            state[key] = held[key]
    return state


def places_of(index: Path) -> dict[str, str]:
    """Which file of a set each tensor lies in: its name, beside the index.

    Raises:
        ValueError: with the path: it says no such thing.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        places = content["weight_map"]
        if not places or not all(isinstance(file, str) for file in places.values()):
            raise ValueError("no names of files")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ValueError(
            f"{index} is not the index of a set of files: it lacks a weight_map that names the "
            "file of each tensor, or is damaged"
        ) from None
    astray = [
        file
        for file in places.values()
        if not file or Path(file).name != file or file.endswith(".json")
    ]
    if astray:
        raise ValueError(
            f"{index}: weight_map names {astray[0]!r}, which is no file of tensors beside it"
        )
    return dict(places)


def read_archive(path: Path) -> torch.jit.ScriptModule | None:
    """A TorchScript archive; None of any other file.

    Raises:
        ValueError: a damaged one, or no file.
    """
    _require_file(path)
    if not _is_torchscript(path):
        return None
    with warnings.catch_warnings():  # that the format is old is nothing its user can change
        warnings.filterwarnings("ignore", "`?torch.jit.load")
        try:
            return torch.jit.load(str(path), map_location="cpu")
        except OSError:
            raise
        except Exception:  # what damaged bytes raise has no common type
            raise ValueError(f"{path} {NO_CLIP}: it is a damaged TorchScript archive") from None


def _is_torchscript(path: Path) -> bool:
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception:  # what damaged bytes raise has no common type: torch is asked what they are
        return False
