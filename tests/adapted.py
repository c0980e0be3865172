"""An adapted model beside its slow reference: logits, gradients, three optimiser steps."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.training.step import training_step
from original_keys import Shapes, random_prompts
from parity import NAMES, random_images, settings
from random_clip import random_clip
from slow_in_blocks import slow_adapted
from slow_methods import to_double

DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-8}
VIT = "tiny-vit"


def beside(
    method: str, shapes: Shapes, forward, dtype=torch.float32, dataset=None, shape=VIT, **changes
) -> SimpleNamespace:
    """Our model in training and the slow one, of the same random parameters.

    Args:
        forward: of the slow towers, images, names and parameters by the original's names.
    """
    node = settings(method, **changes)
    model = build_model(method, random_clip(shape), NAMES, node, dataset=dataset).train()
    if dtype == torch.float64:
        to_double(model)
    state = random_prompts(shapes)
    report = model.load_prompts(state)
    assert set(report.used) == set(shapes) and not report.missed and not report.unexpected
    images, slow = random_images(shape), slow_adapted(shape)
    leaves = {k: v.double().requires_grad_() for k, v in state.items()}
    return SimpleNamespace(
        model=model,
        images=images.to(dtype),
        labels=torch.arange(len(images)) % len(NAMES),
        slow=slow,
        leaves=leaves,
        made=lambda: forward(slow, images.double(), NAMES, leaves),
        parameters={
            key: model.prompt_learner.get_parameter(own)
            for key, own in model.prompt_keys(state).items()
        },
        tolerance=TOLERANCE[dtype],
    )


def assert_parity(pair, terms=None) -> None:
    """Logits, loss and gradients. `terms(made)`: the slow loss; cross-entropy without."""
    pair.model.zero_grad()
    optimizer = torch.optim.SGD(pair.model.prompt_learner.parameters(), lr=0.0)
    summary = step(pair, optimizer)
    made = pair.made()
    loss = terms(made) if terms else F.cross_entropy(made.logits, pair.labels)
    gradients = torch.autograd.grad(loss, list(pair.leaves.values()), allow_unused=True)
    error = (pair.model(pair.images) - made.logits).abs().max().item()
    relative = 0.0
    for (key, own), wanted in zip(pair.parameters.items(), gradients, strict=True):
        if wanted is None or not wanted.any():
            assert own.grad is None or not own.grad.any(), key
            continue
        gap = (own.grad.double() - wanted).norm() / wanted.norm()
        relative = max(relative, gap.item())
    print(f"parity {pair.model.name}: logits {error:.1e}, gradients {relative:.1e}")
    assert error < 10 * pair.tolerance and relative < 10 * pair.tolerance
    assert abs(summary["loss"] / loss.item() - 1) < pair.tolerance


def step(pair, optimizer) -> dict[str, float]:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return training_step(pair.model, optimizer, scaler, pair.images, pair.labels)


def assert_steps(pair, optimizer, slow_optimizer, rates, terms=None) -> None:
    """The parameters after so many steps, and in float64 their changes, which are small beside
    them. `slow_optimizer.step(state, gradients, rate)` changes the state."""
    before = {k: v.detach().clone() for k, v in pair.leaves.items()}
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        step(pair, optimizer)
        made = pair.made()
        loss = terms(made) if terms else F.cross_entropy(made.logits, pair.labels)
        found = torch.autograd.grad(loss, list(pair.leaves.values()))
        slow_optimizer.step(pair.leaves, dict(zip(pair.leaves, found, strict=True)), rate)
    for key, wanted in pair.leaves.items():
        got = pair.parameters[key].detach().double()
        assert float((got - wanted.detach()).norm() / wanted.detach().norm()) < pair.tolerance, key
        change = wanted.detach() - before[key]
        assert change.any(), key
        gap = float((got - wanted.detach()).norm() / change.norm())
        assert pair.images.dtype == torch.float32 or gap < 100 * pair.tolerance, key
