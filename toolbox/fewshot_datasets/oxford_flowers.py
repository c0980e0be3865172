"""Oxford Flowers 102: 102 kinds of flowers.

    oxford_flowers/
        jpg/                                image_00001.jpg, ...
        split_zhou_OxfordFlowers.json       the published split
        cat_to_name.json                    only to rebuild a missing split
        imagelabels.mat

Without the split file, all images are split 50 / 20 / 30 per class; the official split is not used.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_json, read_mat
from .splits import Record, Split, group_by_label, split_groups


@DATASET_REGISTRY.register()
class OxfordFlowers(FewShotDataset):
    dataset_dir = "oxford_flowers"
    image_dir = "jpg"
    split_file = "split_zhou_OxfordFlowers.json"
    published_sizes = (4093, 1633, 2463)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        labels = read_mat(directory / "imagelabels.mat", "labels")
        path = directory / "cat_to_name.json"
        names = read_json(path)
        try:
            records = [
                Record(f"image_{i:05d}.jpg", int(label) - 1, names[str(int(label))])
                for i, label in enumerate(labels, start=1)
            ]
        except (KeyError, TypeError, ValueError) as e:
            raise DatasetError(f"{path}: no name for a label of imagelabels.mat ({e})") from e
        return split_groups(group_by_label(records).values())
