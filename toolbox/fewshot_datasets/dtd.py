"""Describable Textures: 47 classes of 120 images.

    dtd/
        images/                                 banded/banded_0002.jpg, ...
        split_zhou_DescribableTextures.json     the published split

Without the split file, the class folders are split 50 / 20 / 30; the official lists are not used.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .splits import Split, split_folders


@DATASET_REGISTRY.register()
class DescribableTextures(FewShotDataset):
    dataset_dir = "dtd"
    split_file = "split_zhou_DescribableTextures.json"
    published_sizes = (2820, 1128, 1692)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        return split_folders(directory / cls.image_dir)
