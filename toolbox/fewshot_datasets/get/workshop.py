"""Where one data set is fetched, unpacked and put together before it is moved into place.

    DATA/.get/oxford_pets.lock      held while a call works at this data set
    DATA/.get/oxford_pets/
        downloads/                  archives, whole or in part; kept for the next call
        unpacked/                   what they held; cleared
        ready/                      the data set's folders, put together; cleared

All of it is on the goal's file system, so that moving into place is a rename: of a data set whose
directory is a link, beside the directory that the link leads to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot_datasets.files import say

from .errors import GetError
from .libraries import library


class Workshop:
    """The folders in which the data set `name` is made whose directory is `goal`."""

    def __init__(self, goal: Path, name: str) -> None:
        beside = Path(os.path.realpath(goal)).parent
        self.folder = beside / ".get" / name
        self.lock_file = beside / ".get" / f"{name}.lock"
        self.downloads = self.folder / "downloads"
        self.unpacked = self.folder / "unpacked"
        self.ready = self.folder / "ready"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The folders, alone: a second call waits. What an interrupted call unpacked is cleared.

        Raises GetError where they cannot be made.
        """
        filelock = library("filelock", f"working at {self.folder.name}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.lock_file)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                say(f"{self.folder.name}: another call gets it; waiting for that one")
                lock.acquire()
        except OSError as e:
            raise GetError(f"cannot write {self.folder} ({e.strerror or e})") from e
        try:
            self.clear()
            self.downloads.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            self.clear()
            for folder in (self.downloads, self.folder):
                with suppress(OSError):  # with something in it, it is for the next call
                    folder.rmdir()
            lock.release()

    def clear(self) -> None:
        """Remove what was unpacked and put together."""
        for folder in (self.unpacked, self.ready):
            if os.path.lexists(folder):
                shutil.rmtree(folder)

    def kept(self) -> int:
        """Bytes that were fetched, whole or in part, and are kept for the next call."""
        with suppress(OSError):
            return sum(path.stat().st_size for path in self.downloads.iterdir())
        return 0

    def forget_downloads(self) -> None:
        """Remove the archives: what they held is in place."""
        shutil.rmtree(self.downloads, ignore_errors=True)

    def room(self, *names: str) -> Path:
        """A new empty folder to unpack into, below folders of these names."""
        folder = self.unpacked.joinpath(*names)
        while os.path.lexists(folder):
            folder = folder.with_name(f"{folder.name}_")
        folder.mkdir(parents=True)
        return folder
