"""One file from wherever it is to be had, complete and with its sums compared."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fewshot_datasets.files import counted

from . import drive, hub, plain
from .catalogue import Remote
from .errors import GetError, SourceError
from .pages import HEAD, page_instead
from .progress import Progress
from .session import shown

_LONG = 500_000_000  # bytes whose sums take more than a moment
_records: dict[tuple[Path, int, int], dict[str, Any]] = {}


def fetch(remote: Remote, folder: Path) -> Path:
    """Bring one file into `folder` and return it; a local file is returned where it is.

    It is there only if it is complete and has the sums and the size that `remote` knows; a file
    that is there already is not fetched again. What an interrupted call left (NAME.part) is gone on
    with, what turns out to be wrong is deleted; a local file is never touched.

    Raises SourceError, naming the address, what came and what is right; GetError if a library is
    missing; OSError if `folder` cannot be written.
    """
    kind = transport(remote.address)
    if kind == "file":
        return _local(remote)
    name = file_name(remote)
    goal, part = folder / name, folder / f"{name}.part"
    if goal.is_file():
        if _is_there(goal, remote):
            return goal
        goal.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    known = _BRING[kind](remote, part, name)
    try:
        record = _examine(part, known, name)
    except SourceError:
        drive.drop(part)
        raise
    _keep(record, goal)
    os.replace(part, goal)
    drive.drop(part)
    return goal


def discard(path: Path) -> None:
    """Delete a file that `fetch` brought, with the record of it; a local file is not one."""
    path.unlink(missing_ok=True)
    _record_of(path).unlink(missing_ok=True)


def fetched(path: Path) -> dict[str, Any]:
    """Of a file that `fetch` returned: `address`, `name`, `size` and `sha256`, for a record."""
    record = _record(path)
    if record is None:
        record = _examine(path, Remote(str(path)), path.name)
    return {key: record[key] for key in ("address", "name", "size", "sha256")}


def transport(address: str) -> str:
    """Which way an address takes: "plain", "hub", "drive", or "file" for all else."""
    url = address.lower()
    if url.startswith("hf://"):
        return "hub"
    if re.match(r"https?://(drive|docs)\.google\.com/", url):
        return "drive"
    return "plain" if url.startswith(("http://", "https://")) else "file"


def file_name(remote: Remote) -> str:
    """The name under which a file is kept: the given one, else the end of its address."""
    path = urlsplit(remote.address).path if transport(remote.address) != "file" else remote.address
    name = remote.name or unquote(path.rstrip("/").rpartition("/")[2])
    if not name or name in (".", "..") or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
        raise GetError(f"{shown(remote.address)}: its end is no name for a file ({name!r})")
    return name


def _plain(remote: Remote, part: Path, name: str) -> Remote:
    plain.bring(remote.address, part, name, size=remote.size)
    return remote


_BRING: dict[str, Callable[[Remote, Path, str], Remote]] = {
    "plain": _plain,
    "hub": hub.bring,
    "drive": drive.bring,
}


def _local(remote: Remote) -> Path:
    path = Path(remote.address.removeprefix("file://")).expanduser()
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is no file and no address"
        raise SourceError(f"{remote.address} {what}")
    record = _record(path)
    if record is None or not remote.sums.items() <= record.items():
        record = _examine(path, remote, path.name)
    _records[_state(path)] = record
    return path


def _is_there(path: Path, remote: Remote) -> bool:
    """Whether `path` is what `remote` names: by its sums, else as the record beside it says."""
    record = _record(path)
    if record and not remote.sums.keys() <= record.keys():
        record = None
    if record is None:
        if not remote.sums:
            return False
        with suppress(SourceError):
            _keep(_examine(path, remote, path.name), path)
            return True
        return False
    if remote.sums or remote.size is not None:
        wanted = remote.sums | ({} if remote.size is None else {"size": remote.size})
        return bool(wanted.items() <= record.items() and (remote.sums or _same(record, remote)))
    return _same(record, remote)


def _same(record: dict[str, Any], remote: Remote) -> bool:
    return bool(record["address"] == shown(remote.address))


def _examine(path: Path, remote: Remote, name: str) -> dict[str, Any]:
    """The record of a file: its size and sums; SourceError if they are not what `remote` says."""
    shown_address = shown(remote.address)
    with path.open("rb") as file:
        page = page_instead(file.read(HEAD), name)
    size, when = _state(path)[1:]
    if page:
        raise SourceError(f"{shown_address}: {page} instead of {name}")
    if remote.size is not None and size != remote.size:
        raise SourceError(
            f"{shown_address}: {name} has {counted(size, 'byte')}, {remote.size:,} are right"
        )
    sums = _sums(path, {"sha256", *remote.sums}, name)
    for kind, right in remote.sums.items():
        if sums[kind] != right.lower():
            raise SourceError(f"{shown_address}: {name} has {kind} {sums[kind]}, {right} is right")
    return {"address": shown_address, "name": name, "size": size, "mtime_ns": when} | sums


def _sums(path: Path, kinds: Iterable[str], name: str) -> dict[str, str]:
    """The sums of a file, all in one pass."""
    size = path.stat().st_size
    found = {
        kind: hashlib.new("sha1" if kind == "git_blob" else kind, usedforsecurity=False)
        for kind in kinds
    }
    if "git_blob" in found:
        found["git_blob"].update(b"blob %d\0" % size)
    progress = Progress(f"check {name}", size) if size >= _LONG else None
    with path.open("rb") as file, progress or nullcontext():
        while piece := file.read(1 << 20):
            for one in found.values():
                one.update(piece)
            if progress:
                progress.advance(len(piece))
    return {kind: one.hexdigest() for kind, one in found.items()}


def _state(path: Path) -> tuple[Path, int, int]:
    stat = path.stat()
    return path.resolve(), stat.st_size, stat.st_mtime_ns


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.fetched.json")


def _keep(record: dict[str, Any], path: Path) -> None:
    """Write the record of `path` beside it; one that does not fit the file counts for nothing."""
    whole = _record_of(path)
    half = whole.with_name(f".{whole.name}.tmp")
    half.write_text(json.dumps(record, indent=1), encoding="utf-8")
    os.replace(half, whole)


def _record(path: Path) -> dict[str, Any] | None:
    """The record of `path`, unless the file has changed since."""
    state = _state(path)
    if state in _records:
        return _records[state]
    with suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(_record_of(path).read_text(encoding="utf-8"))
        if (record["size"], record["mtime_ns"]) == state[1:] and len(record["sha256"]) == 64:
            return dict(record)
    return None
