"""ImageNet-R: renditions of 200 ImageNet classes, for testing only.

imagenet-rendition/
    imagenet-r/
        n01443537/art_0.jpg, ...
    classnames.txt                  a copy of ImageNet's
"""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .imagenet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetR(ImageNetVariant):
    dataset_dir = "imagenet-rendition"
    image_dir = "imagenet-r"
    published_sizes = (0, 0, 30000)
