"""Data set readers of the CoOp ecosystem; importing this package registers them with Dassl.

A reader's file is named like its config in `configs/datasets/`, and its docstring shows the
directory it expects: `python -m pydoc fewshot_datasets.oxford_pets`. In a host repository that
registers readers of the same names (CoOp, MaPLe, ...), use the host's or these, not both.
"""

from __future__ import annotations

import importlib

from .base import FewShotDataset
from .files import DatasetError

__all__ = ["PUBLISHED", "READERS", "DatasetError", "FewShotDataset"]

# Config file name -> name of the reader in Dassl's registry, in the order of the publications.
PUBLISHED = {
    "imagenet": "ImageNet",
    "caltech101": "Caltech101",
    "oxford_pets": "OxfordPets",
    "stanford_cars": "StanfordCars",
    "oxford_flowers": "OxfordFlowers",
    "food101": "Food101",
    "fgvc_aircraft": "FGVCAircraft",
    "sun397": "SUN397",
    "dtd": "DescribableTextures",
    "eurosat": "EuroSAT",
    "ucf101": "UCF101",
    "imagenetv2": "ImageNetV2",
    "imagenet_sketch": "ImageNetSketch",
    "imagenet_a": "ImageNetA",
    "imagenet_r": "ImageNetR",
}
_MORE = {"digits": "Digits", "image_folder": "ImageFolder"}

READERS: dict[str, type[FewShotDataset]] = {
    config: getattr(importlib.import_module(f"{__name__}.{config}"), reader)
    for config, reader in (PUBLISHED | _MORE).items()
}
