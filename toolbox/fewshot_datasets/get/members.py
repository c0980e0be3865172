"""The members of zip and tar archives, one after the other, each under a name that stays inside."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from fewshot_datasets.splits import relative_path

BUFFER = 1 << 20  # bytes; a whole block of bzip2 has to fit, for what it holds to be seen
MAX_READ = 1 << 22  # bytes of a tar at once
MAX_HEADERS = 64  # reads for the headers of one member of a tar; long names take a handful
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    NotImplementedError,  # a compression that Python has not
    MemoryError,
)
_BROKEN_HEADERS = (ValueError, LookupError, ArithmeticError, TypeError, RecursionError)
_TYPES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
}


class Refused(Exception):
    """An archive or one of its members cannot be used; the message lacks the archive's name."""


@dataclass(frozen=True)
class Member:
    """A file, a folder, or a second name (`link`) of an earlier file."""

    name: str  # relative, with `/`; "" is the folder itself
    kind: str  # "file", "folder" or "link"
    size: int = 0  # bytes that a file declares
    target: str = ""  # the name that a link repeats
    reader: Callable[[], BinaryIO] = io.BytesIO


@contextmanager
def faults(prefix: str, error: type[Exception]) -> Iterator[None]:
    """What a refused or broken archive raises becomes one `error`; OSError of the system passes."""
    try:
        yield
    except Refused as e:
        raise error(f"{prefix}: {e}") from e
    except OSError as e:  # gzip and bz2 raise it too, and then without a number
        if e.errno is not None:
            raise
        raise error(f"{prefix}: the archive is broken ({e})") from e
    except _BROKEN as e:
        raise error(f"{prefix}: the archive is broken ({str(e) or type(e).__name__})") from e


class _Raw(io.RawIOBase):
    """`file`, read in full buffers, with the number of bytes told as they come."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], None] | None) -> None:
        self._file, self._advance = file, advance

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise EOFError(f"a header points to byte {offset:,}")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        view, filled = memoryview(buffer), 0
        while filled < len(view) and (data := self._file.read(len(view) - filled)):
            view[filled : filled + len(data)] = data
            filled += len(data)
        if self._advance and filled:
            self._advance(filled)
        return filled


def buffered(
    file: BinaryIO, advance: Callable[[int], None] | None = None
) -> io.BufferedReader[Any]:
    """A reader whose `peek` shows the first mebibyte; `advance` gets the bytes read of `file`."""
    return io.BufferedReader(_Raw(file, advance), BUFFER)


def compression(head: bytes) -> str:
    """ "gz", "bz2", "xz" or "", by a file's first bytes."""
    magic = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\0"}
    return next((name for name, start in magic.items() if head.startswith(start)), "")


def decompressed_start(head: bytes) -> bytes:
    """The first 512 bytes of what a file holds, from its first bytes; b"" if they are broken."""
    try:
        match compression(head):
            case "gz":
                return zlib.decompressobj(31).decompress(head, tarfile.BLOCKSIZE)
            case "bz2":
                return bz2.BZ2Decompressor().decompress(head, tarfile.BLOCKSIZE)
            case "xz":
                return lzma.LZMADecompressor().decompress(head, tarfile.BLOCKSIZE)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError):
        return b""
    return head[: tarfile.BLOCKSIZE]


def zip_members(reader: io.BufferedReader[Any]) -> Iterator[Member]:
    """The members of a zip, in the order of its directory."""
    with _reading_headers():
        archive = zipfile.ZipFile(reader)
    with archive:
        for info in archive.infolist():
            yield _zip_member(archive, info)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    written = info.orig_filename if "\0" in info.orig_filename else info.filename
    folder = written.endswith(("/", "\\")) or stat.S_ISDIR(mode)
    name = _below(written, folder)
    if info.flag_bits & 1:
        raise Refused(f"{name!r} is encrypted")
    if folder:
        if info.file_size:
            raise Refused(f"{name!r} is a folder, and has {info.file_size:,} bytes")
        return Member(name, "folder")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise Refused(f"{name!r} is a link or a device, which no data set needs")
    longer = copy.copy(info)  # a reader stops at the size that it is told
    longer.file_size += 1

    def opened() -> BinaryIO:
        with _reading_headers():
            return archive.open(longer)  # type: ignore[return-value]

    return Member(name, "file", info.file_size, reader=opened)


class _Forward:
    """What `TarFile` reads from: never backwards, never much at once; keeps what came last."""

    def __init__(self, data: Any) -> None:
        self._data, self._position = data, 0
        self.last = b""
        self.headers: int | None = MAX_HEADERS  # reads that are left; None: any number

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= MAX_READ:  # a header's own length would be taken on trust
            raise tarfile.ReadError(f"a header declares {n:,} bytes")
        if self.headers is not None:  # TarFile would read a tower of headers by recursion
            self.headers -= 1
            if self.headers < 0:
                raise tarfile.ReadError(f"more than {MAX_HEADERS} headers of one member")
        return self._take(n)

    def _take(self, n: int) -> bytes:
        self.last = self._data.read(n)
        self._position += len(self.last)
        return self.last

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a header declares fewer than 0 bytes")
        if self._data.seekable():
            try:
                self._data.seek(position - self._position, io.SEEK_CUR)
            except OSError as e:  # further than files reach
                raise tarfile.ReadError(f"a header points to byte {position:,}") from e
            self._position = position
        while self._position < position and self._take(min(BUFFER, position - self._position)):
            pass


def tar_members(reader: io.BufferedReader[Any]) -> Iterator[Member]:
    """The members of a tar with any of the compressions, in order and in one pass.

    Each has to be read before the next is asked for. After the last, what is compressed is read to
    the end, for its checksum.
    """
    data = _decompressed(reader)
    forward: Any = _Forward(data)
    with _reading_headers():
        archive = tarfile.TarFile(fileobj=forward, encoding="utf-8", errors="surrogateescape")
    headers = iter(archive)
    while True:
        forward.headers = MAX_HEADERS
        with _reading_headers():
            info = next(headers, None)
        if info is None:
            break
        forward.headers = None
        yield _tar_member(archive, info)
        archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header
    # TarFile takes a damaged header, and no header, for the end.
    if len(forward.last) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off")
    if any(forward.last):
        raise tarfile.ReadError(f"a damaged header at byte {archive.offset:,}")
    while data.read(BUFFER):
        pass


def _decompressed(reader: io.BufferedReader[Any]) -> Any:
    match compression(reader.peek(1)):
        case "gz":
            return gzip.GzipFile(fileobj=reader)
        case "bz2":
            return bz2.BZ2File(reader)
        case "xz":
            return lzma.LZMAFile(reader)
    return reader


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    name = _below(info.name, info.isdir())
    if info.issparse():
        raise Refused(f"{name!r} is a sparse file, whose size is not that of what it holds")
    if info.size < 0:
        raise Refused(f"{name!r} declares {info.size:,} bytes")
    if info.isdir():
        return Member(name, "folder")
    if info.islnk():
        return Member(name, "link", target=_below(info.linkname, False))
    if not info.isreg():
        kind = _TYPES.get(info.type, f"of the unknown type {info.type!r}")
        raise Refused(f"{name!r} is {kind}, which no data set needs")
    return Member(name, "file", info.size, reader=lambda: archive.extractfile(info))  # type: ignore[arg-type, return-value]


@contextmanager
def _reading_headers() -> Iterator[None]:
    try:
        yield
    except _BROKEN_HEADERS as e:  # Python's readers trust what headers say
        raise Refused(f"the archive is broken ({e})") from e


def _below(name: str, folder: bool) -> str:
    """A member's name with `/`, for backslashes too; raises Refused if it leads out."""
    if folder and name in (".", "./"):
        return ""
    try:
        return relative_path(name)
    except ValueError:
        raise Refused(f"the member {name!r} would lie outside the folder, or has no name") from None
