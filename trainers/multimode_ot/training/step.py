"""One training step: forward, loss terms, gradient rules, precision, optimiser. Needs no Dassl."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP
from ..regularisers import Seen

RESERVED = ("loss", "acc")  # names in a summary that no term may have


def training_step(
    model: PromptedCLIP,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    images: Tensor,
    labels: Tensor,
) -> dict[str, float]:
    """One update of what `model` trains.

    Args:
        images: `(B, 3, H, W)`, normalised, on the model's device.
        labels: `(B,)`, likewise.

    Returns:
        What is shown of the step: `loss`, its terms by name where there are several, guides of
        gradient rules, and `acc`, the accuracy of the batch in per cent.

    Raises:
        FloatingPointError: NaN or Inf in the forward pass or the loss; nothing is updated.
        ValueError: a loss term of a name that is taken, or that is no scalar.
    """
    image, text, logits = model.see(images)
    seen = Seen(model, images, labels, image, text, logits)
    terms = _terms(model, seen)
    guides = {
        name: guide
        for name, part in model.regularisers.items()
        if (guide := part.guide(seen)) is not None
    }
    loss = torch.stack([*terms.values()]).sum() if len(terms) > 1 else next(iter(terms.values()))
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
    if not math.isfinite(summary["loss"]):
        model.diagnose(images)
        raise FloatingPointError("the loss is NaN or Inf")
    if model.changes_gradients:
        scaler.unscale_(optimizer)
        for name, part in model.regularisers.items():
            part.change_gradients(trained, guided.get(name, [None] * len(trained)))
        model.change_gradients(trained)
    scaler.step(optimizer)
    scaler.update()
    return summary


def _terms(model: PromptedCLIP, seen: Seen) -> dict[str, Tensor]:
    terms = dict(model.loss_terms(seen))
    for part in model.regularisers.values():
        more = part.loss_terms(seen)
        taken = [name for name in more if name in terms]
        if taken:
            raise ValueError(f"two loss terms are called {taken[0]!r}: give one another name")
        terms.update(more)
    for name, term in terms.items():
        if name in RESERVED:
            raise ValueError(f"a loss term is called {name!r}, which a step's summary has already")
        if term.ndim:
            raise ValueError(f"the loss term {name!r} has the shape {tuple(term.shape)}: no scalar")
    return terms


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
