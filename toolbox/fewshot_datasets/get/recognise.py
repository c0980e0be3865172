"""What of a data set lies in a tree, whatever layout it has there, and what cannot serve."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from fewshot_datasets import FewShotDataset
from fewshot_datasets.check import missing_files
from fewshot_datasets.splits import Split

from .catalogue import Entry, Part, load_catalogue
from .errors import SourceError
from .new_folder import stem_of
from .state import listed
from .tree import Folder, Tree, is_picture

SAMPLE = 5  # of the folders that a pattern names, so many are looked into
LISTED = 2_000_000  # names in an archive: all of Kaggle's ImageNet, whose pictures come last


@dataclass
class Found:
    """What of one data set lies in a tree; outer paths first."""

    parts: dict[str, list[Path]] = field(default_factory=dict)  # by goal
    pictures: bool = False  # whether a folder is among the parts
    documents: dict[str, list[Path]] = field(default_factory=dict)  # by name
    to_sort: dict[str, list[Path]] = field(default_factory=dict)  # by what it is
    archives: list[Path] = field(default_factory=list)  # that hold something of it
    lookalikes: list[tuple[Path, str]] = field(default_factory=list)  # with why it cannot serve

    def __bool__(self) -> bool:
        """Whether it is more than small files, whose names others have too."""
        return bool(self.pictures or self.to_sort or self.archives or self.lookalikes)

    def serves(self, entry: Entry) -> bool:
        """Whether some of it can be placed."""
        return self.pictures or bool(self.to_sort) or entry.reader.split_file in self.documents

    def folders(self, entry: Entry) -> list[Path]:
        """Where the lists of images of this data set may be: the folders of its small files."""
        files = [part.goal for part in entry.parts if not part.holds]
        paths = [path for goal in files for path in self.parts.get(goal, [])]
        paths += [path for paths in self.documents.values() for path in paths]
        return list(dict.fromkeys(path.parent for path in paths))


def find(tree: Tree, entry: Entry) -> Found:
    """Everything in `tree` that looks like something of the data set."""
    found = Found()
    for folder in tree.folders():
        is_part = False
        for group, parts in ((found.parts, entry.parts), (found.to_sort, entry.to_sort)):
            for part in parts:
                for name in _matches(folder, part):
                    found.pictures |= bool(part.holds)
                    is_part |= not name
                    group.setdefault(part.goal, []).append(tree.path(folder, name))
        for document in entry.documents:
            if document.name in folder.files:
                path = tree.path(folder, document.name)
                found.documents.setdefault(document.name, []).append(path)
        for lookalike in entry.lookalikes:
            if not is_part and _is(folder, lookalike.named, lookalike.holds):
                found.lookalikes.append((tree.path(folder), lookalike.because))
    for archive in tree.archives:
        inside = find(_content(archive), entry)
        if set(inside.to_sort) == {"devkit"} and not inside.parts:
            found.to_sort.setdefault("devkit", []).append(archive)  # it is read as it is
        elif _is_called_of(archive, entry) or inside.serves(entry):
            found.archives.append(archive)
        else:
            found.lookalikes += [(archive, because) for _, because in inside.lookalikes]
    return found


def held(archive: Path, entry: Entry) -> set[str]:
    """The goals and the documents of which an archive holds something; empty if that is not known.

    They are told by the names in it, and by its own: it is not unpacked.
    """
    inside = find(_content(archive), entry)
    goals = {*inside.parts, *inside.documents, *inside.to_sort}
    return goals | {part.goal for part in entry.parts if _is_packed(archive, part)}


def join(several: Iterable[Found]) -> Found:
    """What all of them have, in their order: pieces of one data set may lie in several trees."""
    whole = Found()
    for one in several:
        groups = ((whole.parts, one.parts), (whole.documents, one.documents))
        for mine, theirs in (*groups, (whole.to_sort, one.to_sort)):
            for key, paths in theirs.items():
                mine.setdefault(key, []).extend(paths)
        whole.pictures |= one.pictures
        whole.archives += one.archives
        whole.lookalikes += one.lookalikes
    return whole


def most_complete_first(
    paths: Iterable[Path], part: Part, split: Split | None, reader: type[FewShotDataset]
) -> list[Path]:
    """The candidates for a part by how many images of the split they lack, then by length.

    Where the split lists none of its images, by how many they hold.
    """
    by_length = sorted(paths, key=lambda path: (len(path.parts), str(path)))
    if len(by_length) < 2 or not part.holds:
        return by_length
    wanted = listed(part, split, reader)
    if wanted:
        return sorted(by_length, key=lambda path: len(missing_files(str(path), wanted)))
    return sorted(by_length, key=_pictures_in_classes, reverse=True)


def _pictures_in_classes(folder: Path) -> int:
    classes = Tree.of_folder(folder).top.folders.values()
    return sum(is_picture(name) for one in classes for name in one.files)


def _is_called_of(archive: Path, entry: Entry) -> bool:
    """Whether an archive, or one in it, has a name that one of this data set has."""
    remotes = [remote for way in (*entry.ways, entry.by_hand) for remote in way]
    names = {remote.name or _last(remote.address) for remote in remotes}
    return _own_name(archive) in names or any(_is_packed(archive, part) for part in entry.parts)


def _is_packed(archive: Path, part: Part) -> bool:
    """Whether an archive, or one in it, is called as those that hold this part alone."""
    return any(
        _matcher(pattern)(_own_name(archive))
        or any(_has(folder, [pattern]) for folder in _content(archive).folders())
        for pattern in part.packed
    )


def _own_name(archive: Path) -> str:
    return re.sub(r" ?\(\d+\)", "", archive.name)  # what browsers add to a second download


def _last(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).name


@cache
def _content(archive: Path) -> Tree:
    """The tree in an archive; an empty one where it cannot be read, or its name says enough.

    There may be a thousand of those, one a class of ImageNet.
    """
    from .archives import member_names

    if any(_matcher(pattern)(archive.name) for pattern in _packed()):
        return Tree.of_names([])
    try:
        return Tree.of_names(member_names(archive, limit=LISTED), stem_of(archive))
    except (SourceError, OSError):
        return Tree.of_names([])


@cache
def _packed() -> list[str]:
    entries = load_catalogue().values()
    return [pattern for entry in entries for part in entry.parts for pattern in part.packed]


def _matches(folder: Folder, part: Part) -> Iterator[str]:
    """ "" if `folder` itself looks like `part`, or the names of the files in it that do."""
    if not part.holds:
        if all(_has(folder, [pattern]) for pattern in part.beside):
            yield from sorted(_matching(folder.files, part.named))
    # What lies around the root of a tree is not known, and not asked for.
    elif _is(folder, part.named, part.holds) and (
        not folder.above or all(_has(folder.above, [pattern]) for pattern in part.beside)
    ):
        yield ""


def _is(folder: Folder, name: str, holds: Iterable[str]) -> bool:
    return bool(_matcher(name)(folder.name)) and all(_has(folder, p.split("/")) for p in holds)


def _has(folder: Folder, pattern: list[str]) -> bool:
    """Whether a file or folder below `folder` has a name for each step of the pattern."""
    step, *steps = pattern
    if steps:
        inner = islice(_matching(folder.folders, step), SAMPLE)
        return any(_has(folder.folders[name], steps) for name in inner)
    return any(True for names in (folder.files, folder.folders) for _ in _matching(names, step))


def _matching(names: Collection[str], pattern: str) -> Iterator[str]:
    if re.search(r"[*?[]", pattern):
        return filter(_matcher(pattern), names)
    return iter([pattern] if pattern in names else [])


@cache
def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(pattern)).match
