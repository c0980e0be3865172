"""ImageNet-A: natural adversarial examples of 200 ImageNet classes, for testing only.

imagenet-adversarial/
    imagenet-a/
        n01498041/0.000116_digital clock _ digital clock_0.865662.jpg, ...
    classnames.txt                  a copy of ImageNet's
"""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .imagenet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetA(ImageNetVariant):
    dataset_dir = "imagenet-adversarial"
    image_dir = "imagenet-a"
    published_sizes = (0, 0, 7500)
