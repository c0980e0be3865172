"""A folder that is filled from empty, in which no two names can meet unnoticed."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO

from .members import Refused

CHUNK = 1 << 18  # bytes
MAX_DEPTH = 50  # folders
WINDOWS = os.name == "nt"
# A device whatever the ending, a stream of another file, or no name at all.
_NO_WINDOWS_NAME = re.compile(
    r'(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?$|.*[<>:"|?*\x00-\x1f]', re.IGNORECASE
)
_NO_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


def path_of(root: Path, name: str) -> Path:
    """Where the member `name` lies below `root`."""
    return root / name


class Allowance:
    """How many bytes may be written: what an archive is trusted with, and what the disk has.

    None is any number.
    """

    def __init__(self, limit: int | None, free: int | None = None) -> None:
        self.limit, self.free, self.spent = limit, free, 0

    def spend(self, n: int) -> None:
        """Raises Refused beyond the limit, and the OSError of a full disk beyond what is free."""
        self.spent += n
        if self.limit is not None and self.spent > self.limit:
            raise Refused(f"it unpacks to more than the {self.limit:,} bytes that it may have")
        if self.free is not None and self.spent > self.free:
            full = (
                f"{os.strerror(errno.ENOSPC)}: more is unpacked than the {self.free:,} bytes free"
            )
            raise OSError(errno.ENOSPC, full)


class NewFolder:
    """Fills the empty folder `root`. Modes, owners and times are those of new files.

    Files and folders are made exclusively. So where the file system folds two names into one (by
    case, by composed letters, by trailing dots), the second is refused, and none takes the place
    of the other. The same name twice is no such case: the later file counts, as for `tar` and
    `unzip`.
    """

    def __init__(self, root: Path, allowance: Allowance) -> None:
        self.root, self.allowance = root, allowance
        self._files: set[str] = set()
        self._folders = {""}
        self._set_aside: dict[str, Path] = {}  # name of an archive: folder with its content

    def add_folder(self, name: str) -> None:
        """Make a folder and those around it, unless they were made already."""
        if name in self._folders:
            return
        parts = name.split("/")
        if len(parts) > MAX_DEPTH:  # too deep for what would remove it
            raise Refused(f"{name[:100]!r}... lies below more than {MAX_DEPTH} folders")
        for folder in ("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            if folder not in self._folders:
                with self._creating(folder):
                    path_of(self.root, folder).mkdir()
                self._folders.add(folder)

    def add_file(self, name: str, content: BinaryIO, size: int) -> Path:
        """Write a file of exactly `size` bytes; returns where it lies."""
        path = self._free(name)
        written = 0
        with self._creating(name):
            file = path.open("xb")
        with file:
            self._files.add(name)
            while chunk := content.read(CHUNK):
                written += len(chunk)
                self.allowance.spend(len(chunk))
                file.write(chunk)
        require_size(name, size, written)
        return path

    def repeat_file(self, target: str, name: str) -> None:
        """Write the content of the earlier file `target` under a second name."""
        if target not in self._files or target in self._set_aside:
            raise Refused(f"{name!r} is a link to {target!r}, which is no file before it")
        if target != name:
            source = path_of(self.root, target)
            with source.open("rb") as content:
                self.add_file(name, content, source.stat().st_size)

    def set_aside(self, name: str) -> Path:
        """A new folder for what the archive that is the file `name` holds; `finish` places it."""
        folder = self.root / f".{secrets.token_hex(8)}"
        folder.mkdir()
        self._set_aside[name] = folder
        return folder

    def finish(self) -> None:
        """Put the contents of archives into folders of their stems, in place of the archives."""
        for name, folder in self._set_aside.items():
            path_of(self.root, name).unlink()
            stem = str(PurePosixPath(name).with_name(stem_of(PurePosixPath(name))))
            goals = [path_of(self.root, stem), path_of(self.root, f"{stem}.unpacked")]
            free = [goal for goal in goals if not os.path.lexists(goal)]
            if not free:
                raise Refused(f"{name!r}: there are {stem!r} and '{stem}.unpacked' already")
            folder.rename(free[0])

    def _free(self, name: str) -> Path:
        """The path of a file to be made, in its folder; an earlier one of that name is removed."""
        self.add_folder(name.rpartition("/")[0])
        path = path_of(self.root, name)
        if name in self._files:
            path.unlink()
            self._files.remove(name)
            if name in self._set_aside:
                shutil.rmtree(self._set_aside.pop(name))
        return path

    @contextmanager
    def _creating(self, name: str) -> Iterator[None]:
        if WINDOWS and any(_NO_WINDOWS_NAME.match(part) for part in name.split("/")):
            raise Refused(f"Windows has no files called {name!r}")
        try:
            yield
        except FileExistsError:
            raise Refused(self._meeting(name)) from None
        except UnicodeEncodeError:
            raise Refused(f"this system has no files called {name!r}") from None
        except OSError as e:
            if e.errno not in _NO_NAMES:
                raise
            raise Refused(f"no file can be called {name[:100]!r} here ({e.strerror})") from e

    def _meeting(self, name: str) -> str:
        path = path_of(self.root, name)
        known: Iterable[str] = (*self._files, *self._folders)
        met = [other for other in known if os.path.samefile(path_of(self.root, other), path)]
        if name in met:
            return f"{name!r} is a file and a folder"
        other = met[0] if met else "another file"
        return f"{other!r} and {name!r} are one name on this file system"


def require_size(name: str, size: int, came: int) -> None:
    """Raises Refused if a member has other than the declared number of bytes."""
    if came != size:
        has = f"at least {came:,}" if came > size else f"{came:,}"
        raise Refused(f"{name!r} declares {size:,} bytes and has {has}")


def stem_of(archive: PurePath) -> str:
    """The name of the folder to unpack into: some archives have no folder, and that is its name."""
    return re.sub(r"(\.tar)?\.\w+$", "", archive.name, flags=re.IGNORECASE)
