"""Caltech101: 100 classes of objects.

    caltech-101/
        101_ObjectCategories/           accordion/image_0001.jpg, ...
        split_zhou_Caltech101.json      the published split

Without the split file, the class folders are split 50 / 20 / 30.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .splits import Split, split_folders

IGNORED = ("BACKGROUND_Google", "Faces_easy")
NAMES = {
    "airplanes": "airplane",
    "Faces": "face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
}


@DATASET_REGISTRY.register()
class Caltech101(FewShotDataset):
    dataset_dir = "caltech-101"
    image_dir = "101_ObjectCategories"
    split_file = "split_zhou_Caltech101.json"
    published_sizes = (4128, 1649, 2465)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        return split_folders(directory / cls.image_dir, IGNORED, NAMES)
