"""Classes and test images of the published data sets (CoOp's splits), by `DATASET.NAME`."""

from __future__ import annotations

import math

SIZES = {
    "Caltech101": (100, 2465),
    "OxfordPets": (37, 3669),
    "StanfordCars": (196, 8041),
    "OxfordFlowers": (102, 2463),
    "Food101": (101, 30300),
    "FGVCAircraft": (100, 3333),
    "SUN397": (397, 19850),
    "DescribableTextures": (47, 1692),
    "EuroSAT": (10, 8100),
    "UCF101": (101, 3783),
    "ImageNet": (1000, 50000),
    "ImageNetV2": (1000, 10000),
    "ImageNetSketch": (1000, 50889),
    "ImageNetA": (200, 7500),
    "ImageNetR": (200, 30000),
}


def classes_of(classes: int, subset: str) -> int:
    """How many of a data set's classes are in `all`, `base` or `new`."""
    return {"base": math.ceil(classes / 2), "new": classes // 2}.get(subset, classes)
