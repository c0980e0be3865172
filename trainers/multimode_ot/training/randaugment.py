"""RandAugment with the hosts' operations and ranges, for callers that have no Dassl.

E. D. Cubuk, B. Zoph, J. Shlens, Q. V. Le, "RandAugment: Practical Automated Data Augmentation with
a Reduced Search Space", CVPR Workshops 2020 (arXiv 1909.13719). The stand-in makes the same
pictures of the same draws; a test holds the two equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

STRONGEST = 30
_FILL = (125, 123, 114)  # of what a cutout covers

Operation = Callable[[Image.Image, float], Image.Image]


def _moved(entry: int, image: Image.Image, value: float) -> Image.Image:
    """An affine map that is the identity but for one entry of `(a, b, c, d, e, f)`."""
    matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    matrix[entry] = value
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def _brighter_then_solarised(image: Image.Image, value: float) -> Image.Image:
    table = [int(min(level + value, 255)) for level in range(256)]
    return ImageOps.solarize(image.point(table * len(image.getbands())), 128)


def _cut_out(image: Image.Image, value: float) -> Image.Image:
    if value <= 0:
        return image
    corner = [max(0, np.random.uniform(edge) - value / 2) for edge in image.size]  # noqa: NPY002
    opposite = [min(edge, at + value) for edge, at in zip(image.size, corner, strict=True)]
    image = image.copy()
    ImageDraw.Draw(image).rectangle((*corner, *opposite), _FILL)
    return image


def _enhanced(kind: Callable, image: Image.Image, value: float) -> Image.Image:
    return kind(image).enhance(value)


# In the order that draws count: the operation, its smallest and largest value, of either sign.
_ENHANCED = (ImageEnhance.Color, ImageEnhance.Contrast, ImageEnhance.Brightness)
OPERATIONS: tuple[tuple[Operation, float, float, bool], ...] = (
    *((lambda image, _, f=f: f(image), 0, 1, False)
      for f in (ImageOps.autocontrast, ImageOps.equalize, ImageOps.invert)),
    (Image.Image.rotate, 0, 30, True),
    (lambda image, value: ImageOps.posterize(image, int(value)), 4, 8, False),
    (lambda image, value: ImageOps.solarize(image, value), 0, 256, False),  # type: ignore[arg-type]
    (_brighter_then_solarised, 0, 110, False),
    *((partial(_enhanced, kind), 0.1, 1.9, False)
      for kind in (*_ENHANCED, ImageEnhance.Sharpness)),
    (partial(_moved, 1), 0, 0.3, True),
    (partial(_moved, 3), 0, 0.3, True),
    (_cut_out, 0, 40, False),
    (partial(_moved, 2), 0, 100, True),
    (partial(_moved, 5), 0, 100, True),
)  # fmt: skip


class RandAugment:
    """`count` operations on a picture, drawn with replacement by Python's global generator, all of
    one strength from 0 to 30.

    Raises:
        ValueError: fewer than none, or another strength.
    """

    def __init__(self, count: int, strength: float):
        if count < 0:
            raise ValueError(f"INPUT.RANDAUGMENT_N {count}: must be at least 0")
        if not 0 <= strength <= STRONGEST:
            raise ValueError(f"INPUT.RANDAUGMENT_M {strength}: must be from 0 to {STRONGEST}")
        self.count, self.strength = count, strength

    def __call__(self, image: Image.Image) -> Image.Image:
        for apply, least, most, signed in random.choices(OPERATIONS, k=self.count):
            value = least + (most - least) * self.strength / STRONGEST
            image = apply(image, -value if signed and random.random() < 0.5 else value)
        return image
