"""The transport plans of a batch of images, out of a method.

Axes: `B` images, `K` classes; the rest as in `transport.plans`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP
from ..transport.plans import Plans


def has_plans(method: type[PromptedCLIP]) -> bool:
    """Whether a method's logits are made of transport plans."""
    return method.plans is not PromptedCLIP.plans


@torch.no_grad()
def class_side(model: PromptedCLIP) -> Any:
    """What `batch_plans` needs of the classes, to be made once for many batches."""
    with every_output(model):
        return model.class_features()


@torch.no_grad()
def batch_plans(model: PromptedCLIP, images: Tensor, text: Any = None) -> Plans | None:
    """The plans that the logits of a batch are made of: `logits = logit_scale * similarity`.

    Where a method's stopping rule spans a batch (`batch_dependence`), they are those of just these
    images together, and of all classes. Token-level plans that no logit is made of are solved
    afterwards, with epsilon 0.1 (`Plans.afterwards`).

    Args:
        model: in evaluation mode.
        images: `(B, 3, H, W)`, normalised, at the backbone's resolution, on the model's device.
        text: `class_side(model)`; made here if left out.

    Returns:
        None of a method that has no plans.

    Raises:
        ValueError: images of another size.
        FloatingPointError: NaN or Inf, with the tensor in which it appeared first.
    """
    if not has_plans(type(model)):
        return None
    model.check_images(images)
    with every_output(model):
        text = model.class_features() if text is None else text
        found = model.plans(model.image_features(images), text)
    if found is not None and not found.similarity.isfinite().all():
        model.diagnose(images)
    return found


@contextmanager
def every_output(model: PromptedCLIP) -> Iterator[None]:
    """Let features have all that plans can be solved for, also what no logit needs."""
    before, model.every_output = model.every_output, True
    try:
        yield
    finally:
        model.every_output = before
