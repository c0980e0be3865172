"""ImageNetV2 (matched frequency): new photos of ImageNet's 1,000 classes, for testing only.

imagenetv2/
    imagenetv2-matched-frequency-format-val/
        0/  1/  ...  999/           class folders, numbered like the lines of classnames.txt
    classnames.txt                  a copy of ImageNet's
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .files import list_class
from .imagenet import ImageNetVariant
from .splits import Record


@DATASET_REGISTRY.register()
class ImageNetV2(ImageNetVariant):
    dataset_dir = "imagenetv2"
    image_dir = "imagenetv2-matched-frequency-format-val"
    published_sizes = (0, 0, 10000)

    @classmethod
    def read_images(cls, images: Path, names: dict[str, str]) -> list[Record]:
        return [
            Record(f"{label}/{file}", label, name)
            for label, name in enumerate(names.values())
            for file in list_class(images / str(label))
        ]
