"""Which files of a folder are pictures, and what is left out beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .files import DatasetError, counted, is_file, is_folder, is_leftover, named, scan

# Pillow registers these too, but they are no pixels, or need a program or plugin beside Pillow.
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}


def picture_suffixes() -> set[str]:
    """The suffixes, in small letters, of the files that Pillow reads here.

    Plugins that have registered themselves count, so this is asked anew for each folder.
    """
    from PIL import Image

    suffixes = Image.registered_extensions()  # loads Pillow's own plugins
    readable = Image.OPEN.keys() | {"MPO"}  # several JPEGs in one file, opened as a JPEG
    return {s for s, kind in suffixes.items() if kind in readable and kind not in NO_PICTURES}


@dataclass
class LeftOut:
    """What the reader passes over. Its text names some of it; paths are below the root."""

    files: list[str] = field(default_factory=list)  # not pictures, or not in a class folder
    folders: dict[str, int] = field(default_factory=dict)  # and the pictures in each
    leftovers: list[str] = field(default_factory=list)  # hidden, or made by other programs

    def __str__(self) -> str:
        texts = []
        if self.files:
            texts.append(f"{counted(len(self.files), 'file')} ({named(self.files)})")
        if self.folders:
            inside = [f"{name}, {counted(n, 'picture')}" for name, n in self.folders.items()]
            total = f" with {counted(sum(self.folders.values()), 'picture')}"
            several = len(inside) > 1
            texts.append(f"{counted(len(inside), 'folder')}{total * several} ({named(inside)})")
        if self.leftovers:
            kinds = list(dict.fromkeys(path.rpartition("/")[2] for path in self.leftovers))
            texts.append(
                f"{counted(len(self.leftovers), 'hidden or system file')} ({named(kinds)})"
            )
        return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


def list_pictures(directory: Path, folder: str, left_out: LeftOut) -> list[str]:
    """Sorted `folder/file` of the pictures directly in a class folder; adds to `left_out`.

    Raises DatasetError if there are none, and for names that no text encoder or split file takes.
    """
    fault = "has a backslash" if "\\" in folder else "" if _is_text(folder) else "is no Unicode"
    encoding = sys.getfilesystemencoding()
    if fault == "is no Unicode" and encoding != "utf-8":
        fault += f" where names are read as {encoding} (PYTHONUTF8=1 reads them as UTF-8)"
    if fault:
        raise DatasetError(f"the name of the class folder {directory / folder} {fault}; rename it")
    images, beside = [], LeftOut()
    suffixes = picture_suffixes()
    for entry in scan(directory / folder):
        path = f"{folder}/{entry.name}"
        if is_leftover(entry.name):
            beside.leftovers.append(path)
        elif is_folder(entry):
            beside.folders[path] = count_pictures(directory / path)
        # From a split file, a backslash would be read back as the end of a folder's name.
        elif has_suffix(entry.name, suffixes) and is_file(entry) and "\\" not in entry.name:
            images.append(path)
        else:
            beside.files.append(path)
    if not images:
        raise DatasetError(_without_images(directory / folder, beside))
    left_out.files += beside.files
    left_out.folders |= beside.folders
    left_out.leftovers += beside.leftovers
    return images


def _without_images(folder: Path, beside: LeftOut) -> str:
    if any(beside.folders.values()):
        return (
            f"the class folder {folder} has no images itself, only {beside}; move them up, or, "
            "if these folders are the classes, name this one as the root"
        )
    held = f"only {beside}" if str(beside) else "it is empty"
    return f"the class folder {folder} has no images ({held}); remove it or fill it"


def has_pictures(folder: Path) -> bool:
    """Whether a picture lies directly in `folder`."""
    suffixes = picture_suffixes()
    return any(
        has_suffix(e.name, suffixes) and not is_leftover(e.name) and not is_folder(e)
        for e in scan(folder)
    )


def walk_files(directory: Path) -> Iterator[str]:
    """Paths of the files below `directory`, at any depth, without hidden ones and leftovers.

    Links are followed, but not to a folder that holds them or was listed already. What cannot be
    listed is passed over.
    """
    parent = Path(os.path.realpath(directory.parent))
    seen = {str(parent), *map(str, parent.parents)}
    for folder, folders, files in os.walk(directory, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_leftover(name))
        below = os.path.relpath(folder, directory).replace(os.sep, "/")
        for name in sorted(files):
            if not is_leftover(name):
                yield name if below == "." else f"{below}/{name}"


def count_pictures(directory: Path) -> int:
    """How many pictures lie below `directory`, at any depth."""
    suffixes = picture_suffixes()
    return sum(has_suffix(path, suffixes) for path in walk_files(directory))


def has_suffix(name: str, suffixes: set[str]) -> bool:
    """Whether a file name ends in one of `picture_suffixes()`, in any case."""
    return os.path.splitext(name)[1].lower() in suffixes


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
