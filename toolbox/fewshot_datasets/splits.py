"""Split files, and the two ways in which the ecosystem builds a split that is missing."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .files import DatasetError, list_class, list_folders, read_json, write_json

T = TypeVar("T")

# One fixed seed: a split is shared by the runs of all seeds, so it must not depend on
# the seed of whichever run happens to come first.
BUILD_SEED = 1


class Record(NamedTuple):
    """One image: its path below the image directory (with `/`), label from 0, class name."""

    path: str
    label: int
    classname: str


class Split(NamedTuple):
    """The three lists of a data set, in an order that few-shot selection depends on."""

    train: list[Record]
    val: list[Record]
    test: list[Record]


def read_split(path: Path) -> Split:
    """Read a split file: `{"train": [[path, label, classname], ...], "val": ..., "test": ...}`.

    The order of the file is kept. Paths come out in one spelling: `.\\a\\b.jpg`, `./a//b.jpg` and
    `a/b.jpg` are one. A label may be written as text ("3"), as in some files of the ecosystem.
    Raises DatasetError, naming file, list and entry, for anything that is not in this form.
    """
    content = read_json(path)
    if not isinstance(content, dict) or set(content) != set(Split._fields):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise DatasetError(
            f"{path}: expected an object with the keys train, val, test; found {found}"
        )
    split = Split(*(_parse_list(content[key], key, path) for key in Split._fields))
    check_labels(split, path)
    return split


def write_split(split: Split, path: Path) -> None:
    """Write a split file atomically, in the format of the published ones."""
    write_json(split._asdict(), path)


def _parse_list(entries: Any, key: str, path: Path) -> list[Record]:
    if not isinstance(entries, list):
        raise DatasetError(f"{path}: '{key}' is a {type(entries).__name__}, expected a list")
    return [_parse_entry(entry, f"{path}: entry {i} of '{key}'") for i, entry in enumerate(entries)]


def _parse_entry(entry: Any, where: str) -> Record:
    expected = f"{where} is {entry!r}, expected [relative path, label >= 0, name]"
    if not isinstance(entry, list) or len(entry) != 3:
        raise DatasetError(expected)
    path, label, classname = entry
    if not (isinstance(path, str) and isinstance(classname, str)):
        raise DatasetError(f"{expected}; path and name are texts")
    written = isinstance(label, str) and re.fullmatch("[0-9]{1,9}", label)
    if not (type(label) is int or written) or int(label) < 0:  # True is an int
        raise DatasetError(f"{expected}; the label {label!r} is no whole number from 0 on")
    if not classname.strip():
        raise DatasetError(f"{expected}; the class name is empty")
    try:
        return Record(relative_path(path), int(label), classname)
    except ValueError as e:
        raise DatasetError(f"{where}: {e}") from None


def relative_path(path: str) -> str:
    """One spelling of a path below the image directory: `/` between names, no `.`, no `//`.

    Raises ValueError for a path that is absolute, has a drive or leads out with `..`.
    """
    names = path.replace("\\", "/").split("/")
    parts = [name for name in names if name not in ("", ".")]
    outside = path[:1] in ("/", "\\") or re.match("[A-Za-z]:", path) or ".." in parts
    if outside or not parts or "\0" in path:
        raise ValueError(f"{path!r} is not a path below the image directory")
    return "/".join(parts)


def check_labels(split: Split, source: object) -> None:
    """Refuse lists that disagree about classes: the label space is taken from train alone."""
    if not split.train or not split.test:
        empty = "train" if not split.train else "test"
        raise DatasetError(f"{source}: the {empty} list is empty")
    names: dict[int, str] = {}
    for record in split.train:
        if names.setdefault(record.label, record.classname) != record.classname:
            raise DatasetError(
                f"{source}: label {record.label} is called {names[record.label]!r} "
                f"and {record.classname!r}"
            )
    for label, name in names.items():
        if not (isinstance(name, str) and name.strip()):
            raise DatasetError(f"{source}: label {label} has the class name {name!r}, no text")
    for label in range(len(names)):
        if label not in names:
            raise DatasetError(f"{source}: no image of 'train' has label {label} of {max(names)}")
    for key in ("val", "test"):
        for record in getattr(split, key):
            if names.get(record.label) != record.classname:
                raise DatasetError(
                    f"{source}: '{key}' has label {record.label} ({record.classname!r}), "
                    f"which 'train' {_known_as(names, record.label)}"
                )


def _known_as(names: dict[int, str], label: int) -> str:
    return f"calls {names[label]!r}" if label in names else "lacks"


def fingerprint(split: Split) -> str:
    """Identifies what a few-shot selection depends on: paths and labels of train and val."""
    digest = hashlib.sha256()
    for records in (split.train, split.val):
        digest.update(f"{len(records)}\n".encode())
        for record in records:
            digest.update(f"{record.label} {record.path}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


def group_by_label(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Records by label: labels in order of first appearance, records in list order."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(record.label, []).append(record)
    return groups


def split_trainval(trainval: Sequence[Record], test: list[Record]) -> Split:
    """Keep the official test list; deal 20 % of each class of the official trainval list to val."""
    rng = random.Random(BUILD_SEED)
    train: list[Record] = []
    val: list[Record] = []
    for group in group_by_label(trainval).values():
        for_val, for_train = deal(group, (0.2,), rng)
        val += for_val
        train += for_train
    return Split(train, val, test)


def split_groups(groups: Iterable[Sequence[Record]]) -> Split:
    """Deal each class 50 % to train, 20 % to val and the rest to test."""
    rng = random.Random(BUILD_SEED)
    split = Split([], [], [])
    for group in groups:
        for records, piece in zip(split, deal(group, (0.5, 0.2), rng), strict=True):
            records += piece
    return split


def split_folders(
    image_dir: Path, ignored: Iterable[str] = (), names: dict[str, str] | None = None
) -> Split:
    """Split a directory of class folders 50 / 20 / 30 per class.

    Labels follow the sorted folder names; `names` renames classes after the labels are fixed.
    Files are sorted before they are shuffled, so that the split is the same on every machine.
    """
    names = names or {}
    folders = [n for n in list_folders(image_dir) if n not in set(ignored)]
    return split_groups(
        [
            Record(f"{folder}/{file}", label, names.get(folder, folder))
            for file in list_class(image_dir / folder)
        ]
        for label, folder in enumerate(folders)
    )


def deal(group: Sequence[T], fractions: Sequence[float], rng: random.Random) -> list[list[T]]:
    """Shuffle and cut into consecutive pieces: `round(f * n)` for each fraction, then the rest."""
    items = list(group)
    rng.shuffle(items)
    pieces = []
    for fraction in fractions:
        size = round(fraction * len(group))
        pieces.append(items[:size])
        items = items[size:]
    pieces.append(items)
    if not all(pieces):
        name = getattr(group[0], "classname", group[0]) if group else "(empty)"
        raise DatasetError(
            f"class {name!r} has {len(group)} images, too few to split {len(pieces)} ways"
        )
    return pieces
