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

Folders called train, val and test are read as a division only if there is a `train` and no folder
of another name: a class may well be called train. Two optional files:

    classnames.json     {"red_fox": "a red fox", ...}; a folder that is not in it keeps its own
                        name, with underscores read as spaces by every method
    splits.json         {"train": [["red_fox/anything.jpg", 0, "red_fox"], ...], "val": ...,
                        "test": ...}; when it is there it decides, whatever the folders are

Labels follow the sorted folder names. Class folders without `splits.json` are split per class into
50 % train, 20 % val and 30 % test (at least one image to train on and one to test on), the same
way on every machine, and the result is written to `splits.json`. If the folder cannot be written
the reader says so and goes on: the next run makes the same split. Images that are added later are
not in a written split; the reader says how many there are, and deleting `splits.json` splits again.

Files are images if their suffix is one of IMAGE_SUFFIXES; others are ignored. Pictures are read as
a person sees them: upright by their EXIF orientation, and what is transparent on white.
"""

from __future__ import annotations

import random
from pathlib import Path, PurePosixPath

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, list_folders, list_visible, read_json, say, try_write_json
from .splits import BUILD_SEED, Record, Split, check_labels, read_split

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
DIVISION = ("train", "val", "test")
OWN_FOLDERS = {"split_fewshot"}


@DATASET_REGISTRY.register()
class ImageFolder(FewShotDataset):
    dataset_dir = ""
    image_dir = "."
    as_seen = True

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        written = directory / "splits.json"
        if written.is_file():
            split = read_split(written)
            known = {r.path for records in split for r in records}
            files = (f"{p.parent.name}/{p.name}" for p in directory.glob("*/*") if is_image(p.name))
            new = sum(file not in known for file in files)
            if new:
                say(f"{cls.__name__}: {written} lacks {new:,} images; delete it to split again")
        else:
            folders = [f for f in list_folders(directory) if f not in OWN_FOLDERS]
            if not folders:
                raise DatasetError(
                    f"{directory} holds neither class folders nor train/, val/ and test/"
                )
            if "train" in folders and set(folders) <= set(DIVISION):
                split = read_division(directory, folders)
                if "test" not in folders:
                    say(f"{cls.__name__}: there is no test/ in {directory}: val/ is tested instead")
            else:
                split = deal_classes({f: list_images(directory / f, f) for f in folders})
                if write and try_write_json(
                    split._asdict(), written, "the same split is made again in every run"
                ):
                    say(f"{cls.__name__}: {written} keeps the split that was made of the folders")
        split = rename(split, directory / "classnames.json")
        check_labels(split, directory)
        return split


def is_image(file: str) -> bool:
    return file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")


def list_images(folder: Path, prefix: str) -> list[str]:
    """Sorted `prefix/file` of the images in a class folder; raises DatasetError if it has none."""
    images = [f"{prefix}/{file}" for file in list_visible(folder) if is_image(file)]
    if not images:
        raise DatasetError(
            f"the class folder {folder} has no images ({', '.join(IMAGE_SUFFIXES)}); "
            "remove it or fill it"
        )
    return images


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


def read_division(directory: Path, folders: list[str]) -> Split:
    """Read train/, val/ and test/ with the classes of train; without test/, val/ is the test."""
    if len(folders) == 1:
        raise DatasetError(f"{directory} has train/ but no test/ and no val/ to test on")
    labels = {name: i for i, name in enumerate(list_folders(directory / "train"))}
    lists: dict[str, list[Record]] = {"val": []}
    for key in folders:
        lists[key] = []
        for name in list_folders(directory / key):
            if name not in labels:
                raise DatasetError(
                    f"{directory / key / name}: there is no class folder {name} in train/"
                )
            images = list_images(directory / key / name, f"{key}/{name}")
            lists[key] += [Record(image, labels[name], name) for image in images]
    if "test" not in lists:
        lists |= {"test": lists["val"], "val": []}
    return Split(**lists)


def rename(split: Split, path: Path) -> Split:
    """Apply `classnames.json` to the classes whose images lie in the folders that it names."""
    if not path.is_file():
        return split
    names = read_json(path)
    if not isinstance(names, dict) or not all(isinstance(n, str) and n for n in names.values()):
        raise DatasetError(f"{path}: expected an object of folder names and class names")

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
