"""Food-101: 101 dishes, 1,000 images each.

    food-101/
        images/                         apple_pie/134.jpg, ...
        split_zhou_Food101.json         the published split

Without the split file, the class folders are split 50 / 20 / 30; the official lists are not used.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .splits import Split, split_folders


@DATASET_REGISTRY.register()
class Food101(FewShotDataset):
    dataset_dir = "food-101"
    split_file = "split_zhou_Food101.json"
    published_sizes = (50500, 20200, 30300)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        return split_folders(directory / cls.image_dir)
