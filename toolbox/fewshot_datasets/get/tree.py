"""The folders and files below a path, or in an archive, as one listing that is cheap to make.

A folder is listed when somebody first asks for its content, and its files are never asked what
they are: a person's folder may hold the 1.3 million files of ImageNet.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from fewshot_datasets.files import counted, is_folder, is_leftover

MAX_DEPTH = 8
MAX_FOLDERS = 200_000
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz")
TEXTS = (".txt", ".json", ".csv", ".xml", ".mat", ".md", ".html", ".py", ".pkl", ".yaml", ".avi")
FEW = 1_000  # in a folder of more files, none is opened to see what it is
_CLASS_OF_IMAGENET = re.compile(r"n\d{8}")

# What a folder holds: the names of its folders with the folders that they really are, and files.
_Listing = tuple[dict[str, str], set[str]]


class Folder:
    """One folder of a tree; `files` and `folders` list it when they are first asked for."""

    def __init__(
        self, name: str, above: Folder | None, really: str, lister: Callable[[Folder], _Listing]
    ) -> None:
        self.name = name
        self.above = above
        self.really = really  # of a folder on a disk, its path without links
        self._lister = lister

    @cached_property
    def path(self) -> str:
        """Below the tree's root, with `/`; of the root "."."""
        return str(PurePosixPath(*(folder.name for folder in reversed(list(self.chain())[:-1]))))

    @cached_property
    def depth(self) -> int:
        return self.above.depth + 1 if self.above else 0

    @cached_property
    def _listing(self) -> _Listing:
        return self._lister(self)

    @property
    def files(self) -> set[str]:
        return self._listing[1]

    @cached_property
    def folders(self) -> dict[str, Folder]:
        below = sorted(self._listing[0].items())
        return {name: Folder(name, self, really, self._lister) for name, really in below}

    def chain(self) -> Iterator[Folder]:
        """This folder and those around it, up to the root."""
        folder: Folder | None = self
        while folder:
            yield folder
            folder = folder.above


class Tree:
    """What lies below one root: a folder on a disk, one file there, or an archive.

    `notes` says what could not be looked at; it is complete once `folders` was iterated.
    """

    def __init__(self, root: Path | None, top: Folder, notes: list[str]) -> None:
        self.root = root
        self.top = top
        self.notes = notes

    @classmethod
    def of_folder(cls, root: Path) -> Tree:
        """The tree of a folder; of a file, the tree that holds this one file alone.

        Links to folders are followed, but for those that lead back to a folder around them.
        """
        notes: list[str] = []
        really = os.path.realpath(root)
        if os.path.isfile(root):
            top = Folder(os.path.basename(os.path.dirname(really)), None, "", _one_file(root.name))
            return cls(root.parent, top, notes)
        name = os.path.basename(os.path.abspath(root))
        return cls(root, Folder(name, None, really, _lister_of(root, notes)), notes)

    @classmethod
    def of_names(cls, names: Iterable[str], name: str = "") -> Tree:
        """The tree of an archive, from the names of the files in it; `name` is its root's."""
        listings: dict[str, _Listing] = {"": ({}, set())}
        for member in names:
            parts = [part for part in member.replace("\\", "/").split("/") if part not in ("", ".")]
            if not parts or any(is_leftover(part) for part in parts):
                continue
            around = ""
            for part in parts[:-1]:
                inner = f"{around}/{part}"
                if inner not in listings:
                    listings[inner] = ({}, set())
                    listings[around][0][part] = inner
                around = inner
            listings[around][1].add(parts[-1])
        return cls(None, Folder(name, None, "", lambda folder: listings[folder.really]), [])

    def folders(self) -> Iterator[Folder]:
        """Every folder, outer ones first; none that is a class of ImageNet, or lies below one."""
        waiting = deque([self.top])
        seen = 0
        while waiting:
            folder = waiting.popleft()
            seen += 1
            if seen > MAX_FOLDERS:
                self._note(f"only the first {counted(MAX_FOLDERS, 'folder')} were looked at")
                return
            yield folder
            below = [f for f in folder.folders.values() if not _CLASS_OF_IMAGENET.fullmatch(f.name)]
            if below and folder.depth == MAX_DEPTH:
                self._note(f"folders more than {MAX_DEPTH} levels deep were not looked at")
            else:
                waiting.extend(below)

    @cached_property
    def archives(self) -> list[Path]:
        """The files that are archives by their first bytes; outer ones first."""
        if self.root is None:
            return []
        files = ((folder, name) for folder in self.folders() for name in sorted(folder.files))
        may_be = (self.path(*file) for file in files if _may_be_archive(*file))
        return [path for path in may_be if _is_archive(path)]

    def _note(self, text: str) -> None:
        note = f"{self.root}: {text}"
        if note not in self.notes:
            self.notes.append(note)

    def path(self, folder: Folder, file: str = "") -> Path:
        """Where a folder, or a file in it, lies on the disk; in an archive, its name there."""
        return (self.root or Path()) / folder.path / file


def is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES)


def _may_be_archive(folder: Folder, name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in ARCHIVES or (len(folder.files) < FEW and suffix not in PICTURES + TEXTS)


def _is_archive(path: Path) -> bool:
    from .archives import kind

    try:
        return kind(path) in ("zip", "tar")
    except OSError:
        return False


def _one_file(name: str) -> Callable[[Folder], _Listing]:
    return lambda folder: ({}, {name})


def _lister_of(root: Path, notes: list[str]) -> Callable[[Folder], _Listing]:
    def lister(folder: Folder) -> _Listing:
        folders: dict[str, str] = {}
        files: set[str] = set()
        try:
            with os.scandir(root / folder.path) as entries:
                for entry in entries:
                    if is_leftover(entry.name):
                        continue
                    # Links to pictures would each have to be followed to know that they are none.
                    if is_picture(entry.name) or not is_folder(entry):
                        files.add(entry.name)
                    elif not entry.is_symlink():
                        folders[entry.name] = os.path.join(folder.really, entry.name)
                    else:
                        really = os.path.realpath(entry.path)
                        if leads_back((f.really for f in folder.chain()), really):
                            notes.append(f"{entry.path} leads back to {really}: not followed")
                        else:
                            folders[entry.name] = really
        except OSError as e:
            notes.append(f"cannot list {root / folder.path} ({e.strerror or e}): left out")
        return folders, files

    return lister


def leads_back(around: Iterable[str], really: str) -> bool:
    """Whether the folder `really` is, or lies around, one of the folders `around`."""
    inside = os.path.join(really, "")
    return any(os.path.join(folder, "").startswith(inside) for folder in around)
