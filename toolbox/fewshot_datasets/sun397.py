"""SUN397: 397 kinds of scenes.

sun397/
    SUN397/                         a/abbey/sun_aaalbzqrimafwbiv.jpg, ...
    split_zhou_SUN397.json          the published split
    ClassName.txt                   only to rebuild a missing split
    Training_01.txt
    Testing_01.txt
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_lines
from .splits import Record, Split, split_trainval


@DATASET_REGISTRY.register()
class SUN397(FewShotDataset):
    dataset_dir = "sun397"
    image_dir = "SUN397"
    split_file = "split_zhou_SUN397.json"
    published_sizes = (15880, 3970, 19850)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        classes = [line.removeprefix("/") for line in read_lines(directory / "ClassName.txt")]
        labels = {scene: i for i, scene in enumerate(classes)}
        return split_trainval(
            read_list(directory / "Training_01.txt", labels),
            read_list(directory / "Testing_01.txt", labels),
        )


def read_list(path: Path, labels: dict[str, int]) -> list[Record]:
    """Lines such as `/a/apartment_building/outdoor/sun_x.jpg`; the class is the directory."""
    records = []
    for line in read_lines(path):
        image = line.removeprefix("/")
        scene = image.rpartition("/")[0]
        if scene not in labels:
            raise DatasetError(f"{path}: {line!r} is of a class that is not in ClassName.txt")
        records.append(Record(image, labels[scene], readable(scene)))
    return records


def readable(scene: str) -> str:
    """`a/apartment_building/outdoor` -> `outdoor apartment_building`."""
    return " ".join(reversed(scene.split("/")[1:]))
