"""Do several modes stay several? Pairwise cosines of their features.

Axes: `M` visual and `N` textual modes, `B` images, `K` classes, `d` joint width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP


class Cosines(NamedTuple):
    """Between the modes of one side.

    Attributes:
        matrix: the mean over classes or images of the cosine of each pair, modes by modes.
        mean: of all pairs of two different modes.
        least, most: of these means over pairs, the least and the most for a class or an image.
        over: how many classes or images.
    """

    matrix: list[list[float]]
    mean: float
    least: float
    most: float
    over: int


class Diversity(NamedTuple):
    """The cosines of each side; None of a side that has a single mode."""

    text: Cosines | None
    image: Cosines | None


def cosines(features: Tensor) -> Cosines | None:
    """Pairwise cosines of `n` modes; None for one mode.

    Args:
        features: `(n, X, d)` unit vectors, of `X` images or classes.
    """
    modes, over, _ = features.shape
    if modes < 2:
        return None
    vectors = features.double().transpose(0, 1)  # (X, n, d)
    products = vectors @ vectors.mT
    apart = ~torch.eye(modes, dtype=torch.bool, device=features.device)
    each = products[:, apart].mean(-1)
    return Cosines(
        products.mean(0).tolist(), float(each.mean()), float(each.min()), float(each.max()), over
    )


@torch.no_grad()
def diversity(model: PromptedCLIP, batches: Iterable[Tensor]) -> Diversity:
    """The cosines of a model's modes, as it is now.

    Args:
        model: in evaluation mode.
        batches: normalised images `(B, 3, H, W)`, on its device.

    Raises:
        ValueError: no images.
    """
    classes = model.class_features()
    images, text = [], None
    for batch in batches:
        if text is None:  # of one image: where text depends on images, these are an axis of it
            text = _modes(model.pooled(model.image_features(batch[:1]), classes)[1])
        images.append(_modes(model.pooled(model.image_features(batch), classes)[0]))
    if text is None:
        raise ValueError("the diversity of modes over no images is nothing")
    return Diversity(cosines(text), cosines(torch.cat(images, 1)))


def _modes(features: Tensor) -> Tensor:
    """`(..., X, d)` as `(modes, X, d)`."""
    return features.flatten(0, -3) if features.ndim > 2 else features.unsqueeze(0)
