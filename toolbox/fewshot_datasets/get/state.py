"""What of a data set lies in a directory, and what it lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fewshot_datasets import DatasetError, FewShotDataset
from fewshot_datasets.check import missing_files
from fewshot_datasets.files import is_file, is_leftover, read_lines
from fewshot_datasets.splits import Split, read_split

from .catalogue import Document, Entry, Part, Remote
from .errors import SourceError
from .published import verify


@dataclass
class Lacking:
    """What a data set's directory has not, in words, by part and by document."""

    parts: dict[str, str] = field(default_factory=dict)  # goal -> why
    documents: list[Document] = field(default_factory=list)
    blocked: str = ""  # by what a person has to move away

    def __bool__(self) -> bool:
        return bool(self.parts or self.documents or self.blocked)

    def needs(self, way: Iterable[Remote]) -> tuple[Remote, ...]:
        """The files of a way that may hold something of what is lacking."""
        return tuple(remote for remote in way if not remote.part or remote.part in self.parts)

    def __str__(self) -> str:
        missing = [*self.parts.values(), *(f"no {d.name}" for d in self.documents)]
        return self.blocked or "; ".join(missing)


def lacking(entry: Entry, directory: Path) -> Lacking:
    """What the data set's `directory` lacks.

    A document there that is another one blocks it, and a folder that cannot be looked into.
    """
    found = Lacking()
    try:
        _look(found, entry, directory)
    except OSError as e:
        found.blocked = f"cannot read {e.filename or directory} ({e.strerror or e})"
    return found


def _look(found: Lacking, entry: Entry, directory: Path) -> None:
    for document in entry.documents:
        path = directory / document.name
        if not os.path.lexists(path):
            found.documents.append(document)
            continue
        try:
            verify(path, document)
        except SourceError as e:
            found.blocked = f"{e}. Move it away, and the published one is fetched"
    split = known_split(entry.reader, directory)
    for part in entry.parts:
        path = directory / part.goal
        fault = shortfall(part, [path], split, entry.reader)
        if fault and not part.optional:
            found.parts[part.goal] = fault
        if fault and (surplus(part, path) or (path.exists() and not part.holds)):
            found.blocked = f"{path} is not the published one: {fault}. Move it away"


def known_split(reader: type[FewShotDataset], *directories: Path) -> Split | None:
    """The lists of images in the first directory that has them; None if none has.

    They are those of the published split file, or a data set's own lists; never rebuilt ones.
    """
    for directory in directories:
        try:
            if reader.split_file:
                return read_split(directory / reader.split_file)
            if not (reader.test_only or reader.val_is_test):
                return reader.load_split(directory, write=False)
        except DatasetError:
            continue
    return None


def shortfall(
    part: Part, layers: Sequence[Path], split: Split | None, reader: type[FewShotDataset]
) -> str:
    """What the part lacks if the folders or files `layers` are laid over each other; "" if nothing.

    An image that the split lists may lie in any of them.
    """
    layers = [layer for layer in layers if layer.exists()]
    if not layers:
        return f"no {part.goal}"
    if not part.holds:
        return _shortfall_of_file(part, layers[0])
    layers = [layer for layer in layers if layer.is_dir()]
    if not layers:
        return f"{part.goal} is no folder"
    if part.images is not None:
        n = len(set().union(*(_images(layer) for layer in layers)))
        if n > part.images:
            return f"{n:,} images in {part.goal}, {part.images:,} are right"
        return "" if n == part.images else f"{n:,} of {part.images:,} images in {part.goal}"
    paths = listed(part, split, reader)
    absent = paths
    for layer in layers:
        absent = missing_files(str(layer), absent)
    if not absent:
        return ""
    return (
        f"{len(absent):,} of {len(paths):,} images that {reader.split_file or 'its lists'} "
        f"{'names' if reader.split_file else 'name'} are not in {part.goal}, such as {absent[0]}"
    )


def _shortfall_of_file(part: Part, file: Path) -> str:
    if not file.is_file():
        return f"{part.goal} is no file"
    if part.lines is None:
        return ""
    try:
        n = len(read_lines(file))
    except DatasetError as e:
        return str(e)
    return "" if n == part.lines else f"{n:,} lines in {part.goal}, {part.lines:,} are right"


def surplus(part: Part, folder: Path) -> bool:
    """Whether a folder has more images than are right, so that adding some cannot help."""
    return part.images is not None and folder.is_dir() and len(_images(folder)) > part.images


def listed(part: Part, split: Split | None, reader: type[FewShotDataset]) -> list[str]:
    """The images that the split lists in a part, as paths below it."""
    if split is None:
        return []
    prefix = f"{part.goal}/"
    full = (
        os.path.normpath(f"{reader.image_dir}/{record.path}").replace(os.sep, "/")
        for records in split
        for record in records
    )
    return [path.removeprefix(prefix) for path in full if path.startswith(prefix)]


def _images(folder: Path) -> set[str]:
    """Class folder and file of everything that a reader would take for an image."""
    images = set()
    with os.scandir(folder) as classes:
        for one in classes:
            if is_leftover(one.name) or not one.is_dir():
                continue
            with os.scandir(one.path) as files:
                images |= {
                    f"{one.name}/{f.name}" for f in files if is_file(f) and not is_leftover(f.name)
                }
    return images
