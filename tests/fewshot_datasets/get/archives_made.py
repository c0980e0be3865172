"""Builders of archives, honest and hostile ones; a content of None is a folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from fewshot_datasets.get.errors import SourceError

Members = Iterable[tuple[str, bytes | None]]
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def header(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "", **more: object
) -> tarfile.TarInfo:
    """The header of a tar's member."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    for key, value in more.items():
        setattr(info, key, value)
    return info


def raw_tar(*members: tuple[tarfile.TarInfo, bytes], end: bool = True) -> bytes:
    """A tar of the headers as they are, whether or not the contents are what they declare."""
    blocks = b""
    for info, content in members:
        blocks += info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        blocks += content + bytes(-len(content) % tarfile.BLOCKSIZE)
    return blocks + (bytes(2 * tarfile.BLOCKSIZE) if end else b"")


def tar(members: Members, compression: str = "") -> bytes:
    """A tar of files and folders."""
    made = [
        (header(name, kind=tarfile.DIRTYPE), b"")
        if content is None
        else (header(name, len(content)), content)
        for name, content in members
    ]
    return COMPRESSORS[compression](raw_tar(*made))


def zipped(members: Members, compression: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    """A zip of files and folders; `mode` is that of Unix for all of them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename = name + "/" * (content is None)  # as it is: the constructor mends names
            info.external_attr = mode << 16
            info.compress_type = compression
            archive.writestr(info, content or b"")
    return file.getvalue()


def zip_of_link(name: str, target: str) -> bytes:
    return zipped([(name, target.encode())], mode=stat.S_IFLNK | 0o777)


def changed_zip(name: str, content: bytes, **fields: int) -> bytes:
    """A zip of one deflated file whose directory says other than what is there.

    Fields: `flags`, `method`, `crc`, `compressed` and `size`, in the local header too.
    """
    made = bytearray(zipped([(name, content)]))
    directory = made.index(b"PK\1\2")
    formats = {"flags": "<H", "method": "<H", "crc": "<L", "compressed": "<L", "size": "<L"}
    local = {"flags": 6, "method": 8, "crc": 14, "compressed": 18, "size": 22}
    central = {"flags": 8, "method": 10, "crc": 16, "compressed": 20, "size": 24}
    for field, value in fields.items():
        struct.pack_into(formats[field], made, local[field], value)
        struct.pack_into(formats[field], made, directory + central[field], value)
    return bytes(made)


def zip_with_less_declared(name: str, content: bytes, declared: int) -> bytes:
    """A zip whose file has more bytes than it declares, with the checksum of the declared ones."""
    return changed_zip(name, content, size=declared, crc=zlib.crc32(content[:declared]))


def zip64(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open(name, "w", force_zip64=True) as member:
        member.write(content)
    return file.getvalue()


def tree(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder: name to content, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def files(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if content is not None}


BOTH = pytest.mark.parametrize("made", [tar, zipped], ids=["tar", "zip"])
PICTURES = [("set", None), ("set/a", None), ("set/a/1.jpg", b"one" * 999), ("set/b/2.jpg", b"")]


def refused(put, content: bytes, *words: str, **options: object) -> str:
    with pytest.raises(SourceError) as e:
        put(content, **options)
    message = str(e.value)
    assert "set.archive: " in message
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def every_kind() -> dict[str, bytes]:
    made = {f"tar {name}".strip(): tar(PICTURES, name) for name in COMPRESSORS}
    methods = ("STORED", "DEFLATED", "BZIP2", "LZMA")
    return made | {f"zip {m}": zipped(PICTURES, getattr(zipfile, f"ZIP_{m}")) for m in methods}
