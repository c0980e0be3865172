"""EuroSAT: ten kinds of land use in satellite images.

    eurosat/
        2750/                           AnnualCrop/AnnualCrop_1.jpg, ...
        split_zhou_EuroSAT.json         the published split

Without the split file, the class folders are split 50 / 20 / 30.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .splits import Split, split_folders

NAMES = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}


@DATASET_REGISTRY.register()
class EuroSAT(FewShotDataset):
    dataset_dir = "eurosat"
    image_dir = "2750"
    split_file = "split_zhou_EuroSAT.json"
    published_sizes = (13500, 5400, 8100)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        return split_folders(directory / cls.image_dir, names=NAMES)
