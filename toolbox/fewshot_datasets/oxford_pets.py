"""Oxford-IIIT Pets: 37 breeds of cats and dogs.

oxford_pets/
    images/                         Abyssinian_100.jpg, american_bulldog_12.jpg, ...
    split_zhou_OxfordPets.json      the published split
    annotations/trainval.txt        only to rebuild a missing split
    annotations/test.txt
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_lines
from .splits import Record, Split, split_trainval


@DATASET_REGISTRY.register()
class OxfordPets(FewShotDataset):
    dataset_dir = "oxford_pets"
    split_file = "split_zhou_OxfordPets.json"
    published_sizes = (2944, 736, 3669)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        annotations = directory / "annotations"
        return split_trainval(
            read_list(annotations / "trainval.txt"), read_list(annotations / "test.txt")
        )


def read_list(path: Path) -> list[Record]:
    """Lines of image stem, class id from 1, species, breed id; the stem starts with the breed."""
    records = []
    for line in read_lines(path):
        try:
            stem, class_id, _species, _breed = line.split(" ")
            label = int(class_id) - 1
        except ValueError:
            raise DatasetError(f"{path}: {line!r} is not 'stem class species breed'") from None
        records.append(Record(f"{stem}.jpg", label, stem.rpartition("_")[0].lower()))
    return records
