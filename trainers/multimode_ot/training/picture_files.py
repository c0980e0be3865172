"""The pictures that names of files and folders stand for, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..results.labels import printable

# Pillow registers these too, but they are no pixels, or need a program or plugin beside Pillow.
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
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


def picture_suffixes() -> set[str]:
    """The suffixes, in small letters, of the files that Pillow reads here, with those of plugins
    that have registered themselves."""
    from PIL import Image

    suffixes = Image.registered_extensions()  # loads Pillow's own plugins
    readable = Image.OPEN.keys() | {"MPO"}  # several JPEGs in one file, opened as a JPEG
    return {s for s, kind in suffixes.items() if kind in readable and kind not in NO_PICTURES}


def is_leftover(name: str) -> bool:
    """Whether a name is hidden, or one of those that archives and file managers leave behind."""
    return name.startswith(".") or name.lower() in LEFTOVERS


@dataclass
class Survey:
    """What was found below some places.

    Attributes:
        pictures: how many.
        others: how many visible files that are none.
        longest: characters of the longest path, where control characters are escaped.
        unlisted: folders that could not be listed, and why.
    """

    pictures: int = 0
    others: int = 0
    longest: int = 0
    unlisted: list[tuple[str, str]] = field(default_factory=list)


class PictureFiles:
    """Paths of pictures: named files, whatever their suffix, and those in and below named folders.

    In a folder a picture is a visible file whose suffix, in any case, is of a format that Pillow
    reads. Its own come first, by name, then those of its folders. Links are followed, but not to a
    folder that was listed already or holds the named one. Paths are made when they are asked for:
    of all that is below a folder, one folder's names are held at a time.

    Args:
        places: names of files and folders; paths start with them as they are written.

    Raises:
        FileNotFoundError: one is not there, or is a pattern that the shell has left as it is.
    """

    def __init__(self, places: Sequence[str | os.PathLike]):
        self.places = [os.fspath(place) for place in places]
        for place in self.places:
            if not os.path.exists(place):
                raise FileNotFoundError(_missing(place))
        self._suffixes = picture_suffixes()

    def __iter__(self) -> Iterator[str]:
        return self._walk(Survey())

    def survey(self) -> Survey:
        """Count what is there."""
        found = Survey()
        for path in self._walk(found):
            found.pictures += 1
            found.longest = max(found.longest, len(printable(path)))
        return found

    def _walk(self, found: Survey) -> Iterator[str]:
        for place in self.places:
            if os.path.isdir(place):
                yield from self._below(place, found)
            else:
                yield place

    def _below(self, place: str, found: Survey) -> Iterator[str]:
        def note(error: OSError) -> None:
            path = os.fsdecode(error.filename)
            reason = f'Cannot list the folder "{path}": {error.strerror or error}'
            found.unlisted.append((path, reason))

        seen = _holders_of(place)
        for folder, folders, files in os.walk(place, onerror=note, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not is_leftover(name))
            for name in sorted(files):
                if is_leftover(name):
                    continue
                if os.path.splitext(name)[1].lower() in self._suffixes:
                    yield os.path.join(folder, name)
                else:
                    found.others += 1


def _holders_of(place: str) -> set[str]:
    """The folders that hold a folder; links to them would lead to it again."""
    holders: set[str] = set()
    path = os.path.realpath(place)
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        holders.add(path)
    return holders


def _missing(place: str) -> str:
    if any(mark in place for mark in "*?["):
        return (
            f"{place}: no file is called that. If it is meant as a pattern, nothing matches it, or "
            "the shell does not expand it: name the folder instead"
        )
    return f"{place}: there is no such file or folder"
