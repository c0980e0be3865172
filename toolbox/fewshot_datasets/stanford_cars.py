"""Stanford Cars: 196 models of cars.

stanford_cars/
    cars_train/                             00001.jpg, ...
    cars_test/                              00001.jpg, ...
    split_zhou_StanfordCars.json            the published split
    devkit/cars_meta.mat                    only to rebuild a missing split
    devkit/cars_train_annos.mat
    cars_test_annos_withlabels.mat
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_mat
from .splits import Record, Split, split_trainval


@DATASET_REGISTRY.register()
class StanfordCars(FewShotDataset):
    dataset_dir = "stanford_cars"
    image_dir = "."
    split_file = "split_zhou_StanfordCars.json"
    published_sizes = (6509, 1635, 8041)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        meta = read_mat(directory / "devkit" / "cars_meta.mat", "class_names")
        names = [year_first(str(name)) for name in meta]
        train = directory / "devkit" / "cars_train_annos.mat"
        test = directory / "cars_test_annos_withlabels.mat"
        return split_trainval(
            read_annotations(train, "cars_train", names), read_annotations(test, "cars_test", names)
        )


def year_first(name: str) -> str:
    """`AM General Hummer SUV 2000` -> `2000 AM General Hummer SUV`."""
    model, _, year = name.rpartition(" ")
    return f"{year} {model}"


def read_annotations(path: Path, folder: str, names: list[str]) -> list[Record]:
    """The struct array `annotations` with the fields `fname` and `class` (from 1)."""
    records = []
    for annotation in read_mat(path, "annotations"):
        try:
            file, label = str(annotation["fname"]), int(annotation["class"]) - 1
        except (IndexError, TypeError, ValueError) as e:
            raise DatasetError(f"{path}: annotations need the fields fname, class ({e})") from e
        if not 0 <= label < len(names):
            raise DatasetError(f"{path}: {file} has class {label + 1}, of {len(names)} classes")
        records.append(Record(f"{folder}/{file}", label, names[label]))
    return records
