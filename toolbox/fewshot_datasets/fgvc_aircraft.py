"""FGVC Aircraft: 100 variants of aircraft, with its official split.

fgvc_aircraft/
    images/                         0034309.jpg, ...
    variants.txt                    one class name a line
    images_variant_train.txt        lines of image stem and class name
    images_variant_val.txt
    images_variant_test.txt
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_lines
from .splits import Record, Split, check_labels


@DATASET_REGISTRY.register()
class FGVCAircraft(FewShotDataset):
    dataset_dir = "fgvc_aircraft"
    published_sizes = (3334, 3333, 3333)

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        labels = {name: i for i, name in enumerate(read_lines(directory / "variants.txt"))}
        split = Split(
            *(
                read_list(directory / f"images_variant_{key}.txt", labels)
                for key in ("train", "val", "test")
            )
        )
        check_labels(split, directory)
        return split


def read_list(path: Path, labels: dict[str, int]) -> list[Record]:
    """Lines of image stem and class name, which may contain spaces."""
    records = []
    for line in read_lines(path):
        stem, _, name = line.partition(" ")
        if name not in labels:
            raise DatasetError(f"{path}: {line!r} names a variant that is not in variants.txt")
        records.append(Record(f"{stem}.jpg", labels[name], name))
    return records
