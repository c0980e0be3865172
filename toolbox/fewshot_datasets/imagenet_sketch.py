"""ImageNet-Sketch: drawings of ImageNet's 1,000 classes, for testing only.

imagenet-sketch/
    images/
        n01440764/sketch_0.JPEG, ...
    classnames.txt                  a copy of ImageNet's
"""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from .imagenet import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetSketch(ImageNetVariant):
    dataset_dir = "imagenet-sketch"
    image_dir = "images"
    published_sizes = (0, 0, 50889)
