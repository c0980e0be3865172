"""Folders that already divide the pictures into train, val and test, under their usual names."""

from __future__ import annotations

from pathlib import Path

from .files import DatasetError, counted, is_folder, is_leftover, list_folders, named, scan
from .pictures import LeftOut, has_pictures, list_pictures
from .splits import Record, Split

NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}


def find_division(directory: Path, folders: list[str]) -> dict[str, str] | None:
    """The folder of each split, or None if `folders`, those in `directory`, are classes.

    A folder with the name of a split is one if it holds class folders, and a class if it holds
    pictures itself. If it holds both, it is a class where other folders with pictures lie beside.

    Raises DatasetError for what looks like a division but cannot be used as one.
    """
    called = [folder for folder in folders if folder.lower() in SPLIT_OF]
    beside = [f for f in folders if f not in called and has_pictures(directory / f)]
    flat = [folder for folder in called if has_pictures(directory / folder)]
    splits = [
        folder
        for folder in called
        if holds_classes(directory / folder) and not (beside and folder in flat)
    ]
    like = f"{directory} looks like a division ({', '.join(f'{f}/' for f in called)})"
    if not splits:
        if len({SPLIT_OF[f.lower()] for f in called}) > 1 and not beside:
            raise DatasetError(f"{like}, but there are no class folders with pictures in them")
        return None
    division: dict[str, str] = {}
    for folder in splits:
        split = SPLIT_OF[folder.lower()]
        if split in division:
            raise DatasetError(
                f"{like}, but both {division[split]}/ and {folder}/ mean {split}: keep one of them"
            )
        division[split] = folder
    if "train" not in division:
        raise DatasetError(f"{like}, but there is no train/ with class folders to train on")
    for folder in called:
        split = SPLIT_OF[folder.lower()]
        if folder not in splits and (split == "test" or folder in flat):
            held = "pictures but no class folders" if folder in flat else "no pictures"
            raise DatasetError(f"{like}, but {folder}/ holds {held}; remove it or fill it")
    if len(division) == 1:
        raise DatasetError(f"{like}: it has train/ but no test/ and no val/ to test on")
    return division


def holds_classes(folder: Path) -> bool:
    """Whether a folder directly in `folder` has pictures."""
    return any(has_pictures(folder / name) for name in list_folders(folder))


def read_division(
    directory: Path, division: dict[str, str], left_out: LeftOut
) -> tuple[Split, list[str]]:
    """Read train/, val/ and test/ with the classes of train; without test/, val/ is the test.

    Also returns what a user should know of it. Raises DatasetError.
    """
    labels = {name: i for i, name in enumerate(list_folders(directory / division["train"]))}
    lists: dict[str, list[Record]] = {"val": []}
    notes = []
    for split, folder in division.items():
        found = _list_classes(directory, folder, left_out)
        _check_classes(found, labels, directory, division["train"], folder)
        lists[split] = [
            Record(image, labels[name], name) for name, images in found.items() for image in images
        ]
        lacking = [name for name in labels if name not in found]
        if lacking:
            classes = counted(len(labels), "class", "classes")
            notes.append(f"{folder}/ lacks {len(lacking):,} of {classes}: {named(lacking)}")
    if "test" not in division:
        notes.append(f"there is no test/ in {directory}: {division['val']}/ is tested instead")
        lists |= {"test": lists["val"], "val": []}
    return Split(**lists), notes


def _list_classes(directory: Path, folder: str, left_out: LeftOut) -> dict[str, list[str]]:
    found = {}
    for entry in scan(directory / folder):
        path = f"{folder}/{entry.name}"
        if is_leftover(entry.name):
            left_out.leftovers.append(path)
        elif is_folder(entry):
            found[entry.name] = list_pictures(directory, path, left_out)
        else:
            left_out.files.append(path)
    return found


def _check_classes(
    found: dict[str, list[str]], labels: dict[str, int], directory: Path, train: str, folder: str
) -> None:
    by_case = {name.lower(): name for name in labels}
    for name in found:
        if name not in labels:
            near = by_case.get(name.lower())
            hint = f"; {train}/{near} differs only in case: rename one of them" if near else ""
            raise DatasetError(
                f"{directory / folder / name}: there is no class folder {name} in {train}/{hint}"
            )
