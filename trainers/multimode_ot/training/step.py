"""One training step: forward, loss terms, gradient rules, precision, optimiser.

Beside it what follows the last step of an epoch. Neither needs Dassl.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP
from ..regularisers import Seen

RESERVED = ("loss", "acc")  # names in a summary that no term may have
Gradients = Mapping[str, Sequence[Tensor | None]]  # of guides, by the names of their parts


def training_step(
    model: PromptedCLIP,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    images: Tensor | Sequence[Tensor],
    labels: Tensor,
) -> dict[str, float]:
    """One update of what `model` trains.

    Args:
        images: `(B, 3, H, W)`, normalised, on the model's device; of a method that wants several
            views a list of so many, the learned side's first.
        labels: `(B,)`, likewise.

    Returns:
        What is shown of the step: `loss`, its terms by name where there are several, guides of
        gradient rules by the names of these, and `acc`, the accuracy of the batch in per cent.

    Raises:
        FloatingPointError: NaN or Inf in the forward pass, the loss or a guide; nothing is updated.
        ValueError: another number of views, a loss term of a name that is taken, or that is no
            scalar.
    """
    first, *others = views = [images] if isinstance(images, Tensor) else list(images)
    if len(views) != model.views:
        raise ValueError(
            f"{model.name} trains on {model.views} views of an image, got {len(views)}"
        )
    image, text, logits = model.see(first)
    seen = Seen(model, first, labels, image, text, logits, others)
    terms, guides = _scalars(model, seen)
    loss = functools.reduce(torch.add, terms.values())
    optimizer.zero_grad()
    trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    guided = {
        name: torch.autograd.grad(
            scaler.scale(guide), trained, retain_graph=True, allow_unused=True
        )
        for name, guide in guides.items()
    }
    scaler.scale(loss).backward()
    # The step's only look at the device: by now the backward pass is queued.
    summary = _read(loss, terms, guides, logits, labels)
    broken = [name for name, value in summary.items() if not math.isfinite(value)]
    if broken:
        for view in views:
            model.diagnose(view)
        raise FloatingPointError(f"NaN or Inf in the step's {', '.join(broken)}")
    if model.changes_gradients:
        _change_gradients(model, optimizer, scaler, trained, guided)
    scaler.step(optimizer)
    scaler.update()
    return summary


def images_and_labels(
    batch: Mapping[str, Any], device: torch.device
) -> tuple[Tensor | list[Tensor], Tensor]:
    """The images of a loader's batch, of several views a list, and the labels, on a device."""
    images, labels = batch["img"], batch["label"].to(device)
    if isinstance(images, Tensor):
        return images.to(device), labels
    return [view.to(device) for view in images], labels


def epoch_ended(model: PromptedCLIP, epoch: int, epochs: int) -> None:
    """What a method and its regularisers do after the last step of epoch `epoch` (from 1) of
    `epochs`: after the last epoch the averages of weights take the prompts' place."""
    parts = model.regularisers.values()
    model.epoch_ended(epoch, epochs)
    for part in parts:
        part.epoch_ended(model, epoch, epochs)
    if epoch == epochs:
        for part in parts:
            part.training_ended(model)
        model.training_ended()


def _scalars(model: PromptedCLIP, seen: Seen) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The terms of the loss, and the guides; no two have one name."""
    terms: dict[str, Tensor] = {}
    guides: dict[str, Tensor] = {}
    found: list[tuple[dict[str, Tensor], Mapping[str, Tensor]]] = [(terms, model.loss_terms(seen))]
    for name, part in model.regularisers.items():
        guide = part.guide(seen)
        found.append((terms, part.loss_terms(seen)))
        found.append((guides, {} if guide is None else {name: guide}))
    for kind, scalars in found:
        for name, value in scalars.items():
            if name in RESERVED:
                raise ValueError(
                    f"a loss term is called {name!r}, which a step's summary has already"
                )
            if name in terms or name in guides:
                raise ValueError(f"two loss terms are called {name!r}: give one another name")
            if not isinstance(value, Tensor) or value.ndim:
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"the loss term {name!r} must be a scalar tensor, but is {got}")
            kind[name] = value
    if not terms:
        raise ValueError(f"{model.name} has no loss term: nothing can be trained")
    return terms, guides


def _change_gradients(
    model: PromptedCLIP,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    trained: list[Tensor],
    guided: Gradients,
) -> None:
    if scaler.is_enabled():
        # The scaler looks at `.grad` alone: an overflow of a guide skips the step like any other.
        for gradients in guided.values():
            for tensor, r in zip(trained, gradients, strict=True):
                if tensor.grad is not None and r is not None:
                    tensor.grad += 0 * r
    scaler.unscale_(optimizer)
    for name, part in model.regularisers.items():
        part.change_gradients(trained, guided.get(name, [None] * len(trained)))
    model.change_gradients(trained)


def _read(
    loss: Tensor,
    terms: dict[str, Tensor],
    guides: dict[str, Tensor],
    logits: Tensor,
    labels: Tensor,
) -> dict[str, float]:
    """All numbers of a summary in one transfer."""
    shown = (terms if len(terms) > 1 else {}) | guides
    accuracy = 100 * (logits.detach().argmax(-1) == labels).double().mean()
    values = [loss, *shown.values(), accuracy]
    numbers = torch.stack([value.detach().double() for value in values]).tolist()
    return dict(zip(["loss", *shown, "acc"], numbers, strict=True))
