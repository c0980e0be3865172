"""Archives of data sets: what a file is, what an archive holds, and unpacking it safely."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from fewshot_datasets.files import is_leftover

from .errors import SourceError
from .members import (
    BUFFER,
    Member,
    Refused,
    buffered,
    compression,
    decompressed_start,
    faults,
    tar_members,
    zip_members,
)
from .new_folder import Allowance, NewFolder, require_size

LOOKED_AT = 1 << 28  # bytes read of a compressed tar to see what it holds
_ENDINGS = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--", b"<?xml", b"<error")


def kind(path: Path) -> str:
    """ "zip", "tar" (plain or compressed), "web page" or "": by the first bytes, not the name.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(1024)
        return _kind(head + file.read(BUFFER) if compression(head) else head)


def _kind(head: bytes) -> str:
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return "zip"
    if head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return "web page"
    block = decompressed_start(head)
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        empty = len(block) == tarfile.BLOCKSIZE and not any(block)
        return "tar" if empty else ""
    return "tar"


def member_names(path: Path, limit: int = 100_000) -> Iterator[str]:
    """The names of at most `limit` files of an archive, which is not unpacked.

    They are relative, with `/`; what archivers leave behind is left out. Of a compressed tar about
    the first 256 MiB are looked at. Raises SourceError for what is broken, no archive, or would
    not be unpacked because of a name.
    """
    read = 0

    def advance(n: int) -> None:
        nonlocal read
        read += n

    with path.open("rb", buffering=0) as file, faults(str(path), SourceError):
        reader = buffered(file, advance)
        for member in islice(_members(reader), limit):
            if member.kind != "folder" and not _left_behind(member.name):
                yield member.name
            if read > LOOKED_AT:
                return


def unpack(
    path: Path,
    folder: Path,
    advance: Callable[[int], None] | None = None,
    limit_bytes: int | None = None,
    free_bytes: int | None = None,
) -> None:
    """Unpack an archive into an existing empty folder, and archives in it into folders beside them.

    The caller owns the folder and removes it if anything fails. `advance` gets the bytes of the
    archive as they are used up, in all its size. Nothing is written outside: names that lead out,
    links (but second names of earlier files), devices and sparse files are refused, as are names
    that meet on this file system, broken archives, and more than `limit_bytes` of content. Owners,
    modes and times are not taken over; what archivers and file managers leave behind is not
    unpacked. An archive in the archive, `STEM.tar`, becomes the folder `STEM`, or `STEM.unpacked`
    if there is one; archives in that stay archives.

    Raises SourceError, which names the archive and the member; OSError of a full disk and the like,
    and for more than `free_bytes` of content.
    """
    used, size = 0, path.stat().st_size

    def count(n: int) -> None:
        nonlocal used
        n = min(n, size - used)  # a zip's directory may be read twice
        used += n
        if advance and n:
            advance(n)

    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty")
    with path.open("rb", buffering=0) as file, faults(str(path), SourceError):
        _fill(
            NewFolder(folder, Allowance(limit_bytes, free_bytes)),
            buffered(file, count),
            nested=True,
        )
    count(size - used)


def _members(reader: io.BufferedReader[Any]) -> Iterator[Member]:
    match _kind(reader.peek(1)):
        case "zip":
            return zip_members(reader)
        case "tar":
            return tar_members(reader)
        case "web page":
            raise Refused("it is a web page, not an archive")
    raise Refused("it is no zip or tar archive")


def _fill(new: NewFolder, reader: io.BufferedReader[Any], nested: bool) -> None:
    for member in _members(reader):
        if _left_behind(member.name):
            continue
        if member.kind == "folder":
            new.add_folder(member.name)
        elif member.kind == "link":
            new.repeat_file(member.target, member.name)
        elif nested and member.name.lower().endswith(_ENDINGS):
            with member.reader() as content:
                _add_archive(new, member, content)
        else:
            with member.reader() as content:
                new.add_file(member.name, content, member.size)
    new.finish()


def _add_archive(new: NewFolder, member: Member, content: BinaryIO) -> None:
    """Unpack a member; tars as they come, so that no disk need hold them twice."""
    came = 0

    def count(n: int) -> None:
        nonlocal came
        came += n

    reader = buffered(content, count)
    match _kind(reader.peek(1)):
        case "zip":
            path = new.add_file(member.name, reader, member.size)
            with path.open("rb", buffering=0) as file:
                _fill_aside(new, member.name, buffered(file))
            os.truncate(path, 0)
        case "tar":
            new.add_file(member.name, io.BytesIO(), 0)
            _fill_aside(new, member.name, reader)
            while reader.read(BUFFER):  # what follows the end mark, for the checksum around it
                pass
            require_size(member.name, member.size, came)
        case _:
            new.add_file(member.name, reader, member.size)


def _fill_aside(new: NewFolder, name: str, reader: io.BufferedReader[Any]) -> None:
    with faults(f"in {name!r}", Refused):
        _fill(NewFolder(new.set_aside(name), new.allowance), reader, nested=False)


def _left_behind(name: str) -> bool:
    return any(is_leftover(part) for part in name.split("/") if part)
