"""RandAugment: some operations, drawn with replacement, all at one magnitude.

E. D. Cubuk, B. Zoph, J. Shlens, Q. V. Le, "RandAugment: Practical Automated Data Augmentation with
a Reduced Search Space", CVPR Workshops 2020 (arXiv 1909.13719). Which operations there are, and
their ranges, is the hosts': colour, contrast, brightness and sharpness run from 0.1 to 1.9, so that
the usual magnitude 10 only takes away.

Draws are Python's, the place of a cutout is NumPy's; a loader's workers have their own of both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

LARGEST_MAGNITUDE = 30
GREY = (125, 123, 114)
SOLARISED_ABOVE = 128  # of solarize-add


class Operation(NamedTuple):
    """`apply(image, value)`, for values from `least` to `most`; `signed`: of either sign."""

    apply: Callable[[Image.Image, float], Image.Image]
    least: float = 0
    most: float = 1
    signed: bool = False


class RandAugment:
    """`n` operations on a PIL image, in the order drawn.

    Args:
        n: operations.
        m: magnitude from 0 to 30: a value is `least + (most - least) * m / 30`.
    """

    def __init__(self, n: int = 2, m: float = 10):
        if n < 0 or not 0 <= m <= LARGEST_MAGNITUDE:
            raise ValueError(
                f"INPUT.RANDAUGMENT_N {n} must be at least 0, and INPUT.RANDAUGMENT_M {m} a number "
                f"from 0 to {LARGEST_MAGNITUDE}"
            )
        self.n, self.m = n, m

    def __call__(self, image: Image.Image) -> Image.Image:
        for operation in random.choices(list(OPERATIONS.values()), k=self.n):
            image = operation.apply(image, self.value(operation))
        return image

    def value(self, operation: Operation) -> float:
        value = operation.least + (operation.most - operation.least) * self.m / LARGEST_MAGNITUDE
        return -value if operation.signed and random.random() < 0.5 else value


def _affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix)


def _enhanced(kind: Callable) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, factor: kind(image).enhance(factor)


def solarize_add(image: Image.Image, addition: float) -> Image.Image:
    """Brighter, then inverted where that is bright."""
    brighter = np.clip(np.asarray(image).astype(np.float64) + addition, 0, 255)
    return ImageOps.solarize(Image.fromarray(brighter.astype(np.uint8)), SOLARISED_ABOVE)


def cutout(image: Image.Image, size: float) -> Image.Image:
    """A grey square of `size` pixels; its centre lies anywhere in the picture."""
    if size <= 0:
        return image
    width, height = image.size
    left, top = (max(0, np.random.uniform(edge) - size / 2) for edge in (width, height))  # noqa: NPY002
    image = image.copy()
    box = (left, top, min(width, left + size), min(height, top + size))
    ImageDraw.Draw(image).rectangle(box, GREY)
    return image


OPERATIONS = {
    "autocontrast": Operation(lambda image, _: ImageOps.autocontrast(image)),
    "equalize": Operation(lambda image, _: ImageOps.equalize(image)),
    "invert": Operation(lambda image, _: ImageOps.invert(image)),
    "rotate": Operation(lambda image, degrees: image.rotate(degrees), 0, 30, signed=True),
    "posterize": Operation(lambda image, bits: ImageOps.posterize(image, int(bits)), 4, 8),
    "solarize": Operation(lambda image, above: ImageOps.solarize(image, above), 0, 256),
    "solarize_add": Operation(solarize_add, 0, 110),
    "colour": Operation(_enhanced(ImageEnhance.Color), 0.1, 1.9),
    "contrast": Operation(_enhanced(ImageEnhance.Contrast), 0.1, 1.9),
    "brightness": Operation(_enhanced(ImageEnhance.Brightness), 0.1, 1.9),
    "sharpness": Operation(_enhanced(ImageEnhance.Sharpness), 0.1, 1.9),
    "shear_x": Operation(lambda image, v: _affine(1, v, 0, 0, 1, 0)(image), 0, 0.3, signed=True),
    "shear_y": Operation(lambda image, v: _affine(1, 0, 0, v, 1, 0)(image), 0, 0.3, signed=True),
    "cutout": Operation(cutout, 0, 40),
    "translate_x": Operation(lambda image, v: _affine(1, 0, v, 0, 1, 0)(image), 0, 100, signed=True),
    "translate_y": Operation(lambda image, v: _affine(1, 0, 0, 0, 1, v)(image), 0, 100, signed=True),
}
