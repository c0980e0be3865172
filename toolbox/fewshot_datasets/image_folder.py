"""Anybody's images: `DATASET.NAME ImageFolder` with `DATASET.ROOT` (`--root`) the folder itself.

Either one folder a class,

    my_pictures/
        red_fox/   anything.jpg, ...
        badger/    ...

or an existing division; a missing `val` is fine, and without `test` the images of `val` are tested:

    my_pictures/
        train/  red_fox/  badger/  ...
        val/    ...
        test/   ...

The folders of a division may also be called training, valid, validation, dev and testing, in any
case. Such a folder is a split if it holds class folders, and a class if it holds pictures itself:
a class may well be called train. If it holds both, it is a class where other folders with pictures
lie beside it, and else a split. Two optional files:

    classnames.json     {"red_fox": "a red fox", ...}; a folder that is not in it keeps its own
                        name, with underscores read as spaces by every method
    splits.json         {"train": [["red_fox/anything.jpg", 0, "red_fox"], ...], "val": ...,
                        "test": ...}; when it is there it decides, whatever the folders are

Labels follow the sorted folder names. Class folders without `splits.json` are split per class into
50 % train, 20 % val and 30 % test (at least one image to train on and one to test on), the same
way on every machine, and the result is written to `splits.json`. If the folder cannot be written
the reader says so and goes on: the next run makes the same split. Images that are added later are
not in a written split; the reader says how many there are, and deleting `splits.json` splits again.

Pictures are the files directly in a class folder whose suffix, in any case, is one of a format that
Pillow reads (`.heic` only where a plugin for it is registered). All else is left out, counted and
named: other files, folders inside class folders (with the number of pictures in them), hidden
files, what archives and file managers leave behind, folders beside train/ and test/.

Refused are class names that become one prompt ("red_fox" and "Red Fox": see
`fewshot_datasets.duplicates`) or none, one path in two splits, and one path under two labels. One
path twice in a list is only mentioned. The published data sets are taken as they are, and `python
-m fewshot_datasets.check` mentions the same things there.

Pictures are read as a person sees them: upright by their EXIF orientation, what is transparent on
white.
"""

from __future__ import annotations

import random
from pathlib import Path, PurePosixPath

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .divisions import find_division, read_division
from .duplicates import class_faults, label_faults, picture_faults, repeated_paths
from .files import (
    DatasetError,
    is_leftover,
    list_folders,
    named,
    read_json,
    say,
    scan,
    try_write_json,
)
from .pictures import (
    LeftOut,
    count_pictures,
    has_suffix,
    list_pictures,
    picture_suffixes,
    walk_files,
)
from .splits import BUILD_SEED, Record, Split, check_labels, read_split, relative_path

OWN_FOLDERS = {"split_fewshot"}


@DATASET_REGISTRY.register()
class ImageFolder(FewShotDataset):
    dataset_dir = ""
    image_dir = "."
    as_seen = True

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        written = directory / "splits.json"
        lasting = written.is_file()
        if lasting:
            split = read_split(written)
            notes = unlisted(directory, split)
        else:
            split, notes, lasting = read_folders(directory)
        named_split = rename(split, directory / "classnames.json")
        for note in notes + repeated_paths(split):
            say(f"{cls.__name__}: {note}")
        check_labels(named_split, directory)
        faults = class_faults(named_split) + picture_faults(split) + label_faults(split)
        if faults:
            raise DatasetError(f"{directory}: {'; '.join(faults)}")
        again = "the same split is made again in every run"
        if write and not lasting and try_write_json(split._asdict(), written, again):
            say(f"{cls.__name__}: {written} keeps the split that was made of the folders")
        return named_split


def read_folders(directory: Path) -> tuple[Split, list[str], bool]:
    """The split that the folders are or get, notes on it, and whether they are a division."""
    folders = [f for f in list_folders(directory) if f not in OWN_FOLDERS]
    left_out = LeftOut()
    suffixes = picture_suffixes()
    for entry in scan(directory):
        if is_leftover(entry.name):
            left_out.leftovers.append(entry.name)
        elif has_suffix(entry.name, suffixes) and entry.name not in folders:
            left_out.files.append(entry.name)
    if not folders:
        loose = f", only {left_out}" if left_out.files else ""
        raise DatasetError(
            f"{directory} holds neither class folders nor train/, val/ and test/{loose}"
        )
    division = find_division(directory, folders)
    if division:
        split, notes = read_division(directory, division, left_out)
        for folder in (f for f in folders if f not in division.values()):
            left_out.folders[folder] = count_pictures(directory / folder)
    else:
        notes = []
        split = deal_classes({f: list_pictures(directory, f, left_out) for f in folders})
    if str(left_out):
        notes.append(f"left out {left_out}")
    return split, notes, bool(division)


def unlisted(directory: Path, split: Split) -> list[str]:
    """What to say of the files below `directory` that are not in its written split."""
    known = {r.path for records in split for r in records}
    depths = {path.count("/") for path in known}
    new, left_out, suffixes = [], LeftOut(), picture_suffixes()
    for path in walk_files(directory):
        folder = path.rpartition("/")[0]
        if path in known or folder in OWN_FOLDERS:
            continue
        if has_suffix(path, suffixes) and path.count("/") in depths:
            new.append(path)
        elif has_suffix(path, suffixes) and folder:
            left_out.folders[folder] = left_out.folders.get(folder, 0) + 1
        elif has_suffix(path, suffixes) or folder:
            left_out.files.append(path)
    written = directory / "splits.json"
    lacks = f"{written} lacks {len(new):,} images ({named(new)}); delete it to split again"
    return [lacks] * bool(new) + [f"left out {left_out}"] * bool(str(left_out))


def deal_classes(classes: dict[str, list[str]]) -> Split:
    """Split every class on its own, so that adding a class leaves the others as they were."""
    split = Split([], [], [])
    for label, (folder, images) in enumerate(classes.items()):
        n = len(images)
        if n < 2:
            raise DatasetError(
                f"the class folder {folder} has 1 image, needed are 2: one to train on, "
                "one to test on"
            )
        records = [Record(image, label, folder) for image in images]
        random.Random(f"{BUILD_SEED} {folder}").shuffle(records)
        # From two images on, both ends get at least one.
        n_test, n_val = round(0.3 * n), round(0.2 * n)
        split.test.extend(records[:n_test])
        split.val.extend(records[n_test : n_test + n_val])
        split.train.extend(records[n_test + n_val :])
    return split


def rename(split: Split, path: Path) -> Split:
    """Apply `classnames.json` to the classes whose images lie in the folders that it names."""
    if not path.is_file():
        return split
    names = read_classnames(path)

    def folder(record: Record) -> str:
        return PurePosixPath(record.path).parent.name

    unknown = names.keys() - {folder(r) for r in split.train}
    if unknown:
        known = ", ".join(sorted({folder(r) for r in split.train}))
        raise DatasetError(f"{path}: {min(unknown)!r} is not a class folder; there are: {known}")
    return Split(
        *(
            [r._replace(classname=names.get(folder(r), r.classname)) for r in records]
            for records in split
        )
    )


def read_classnames(path: Path) -> dict[str, str]:
    """Folder name -> class name; folders may be written `./red_fox` or `red_fox/`."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(n, str) for n in content.values()):
        raise DatasetError(f"{path}: expected an object of folder names and class names")
    names: dict[str, str] = {}
    for written, name in content.items():
        try:
            folder = relative_path(written)
        except ValueError:
            raise DatasetError(f"{path}: {written!r} is not the name of a folder") from None
        if folder in names:
            raise DatasetError(f"{path}: the folder {folder!r} is there twice")
        if not name.strip():
            raise DatasetError(f"{path}: the class name of {folder!r} is empty")
        names[folder] = name
    return names
