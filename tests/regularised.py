"""A method's model beside its slow reference, with the same prompts, images and labels."""

from types import SimpleNamespace

import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from multimode_ot import build_model
from multimode_ot.regularisers import Seen
from multimode_ot.training.step import training_step
from original_keys import random_prompts
from parity import settings
from random_clip import SHAPES, random_clip
from slow_methods import CASES, NAMES, Case, slow_towers, to_double
from torch import Tensor

DTYPES = [torch.float32, torch.float64]  # of the model; the slow reference is in float64


def both(case, dtype, parts=(), changes=None, names=NAMES, batch=2, seed=0, dataset=None):
    """Our model and the slow one, with the same random prompts, images and labels.

    Args:
        case: a `Case`, or the name of one of `CASES`.
        parts: the regularisers' names; None for those that the method takes by itself.
        changes: of their settings, by name.
    """
    case = case if isinstance(case, Case) else CASES[case]
    node = settings(case.method, **case.settings)
    if parts is not None:
        node.REGULARISERS = tuple(parts)
    for part, values in (changes or {}).items():
        node[part.upper()].update(values)
    clip = random_clip(case.shape)
    model = build_model(case.method, clip, names, node, dataset=dataset).train()
    if dtype == torch.float64:
        to_double(model)
    prompts = random_prompts(case.prompts, seed)
    report = model.load_prompts(prompts)
    assert not report.missed and not report.unexpected
    size = SHAPES[case.shape]["image_resolution"]
    images = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(batch) % len(names)
    slow = slow_towers(case.shape)
    leaves = {k: v.double().requires_grad_() for k, v in prompts.items()}
    return SimpleNamespace(
        case=case,
        model=model,
        names=names,
        images=images.to(dtype),
        labels=labels,
        slow=slow,
        leaves=leaves,
        made=lambda: getattr(slow, case.slow)(images.double(), names, leaves),
        forward=getattr(slow, case.slow),
        parameters={
            key: model.prompt_learner.get_parameter(own)
            for key, own in model.prompt_keys(prompts).items()
        },
    )


def seen(pair, model=None) -> Seen:
    model = model or pair.model
    image, text, logits = model.see(pair.images)
    return Seen(model, pair.images, pair.labels, image, text, logits)


def gradients(loss: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor | None]:
    found = torch.autograd.grad(loss, list(tensors.values()), retain_graph=True, allow_unused=True)
    return dict(zip(tensors, found, strict=True))


def assert_equal(ours, slow, tolerance=1e-5) -> None:
    """Relative, of numbers or whole tensors."""
    assert ours.keys() == slow.keys()
    for key, expected in slow.items():
        got = ours[key]
        if expected is None or not expected.any():  # an output that nothing reads
            assert got is None or not got.any(), key
            continue
        gap = float((got.detach().double() - expected.detach()).norm() / expected.detach().norm())
        assert gap < tolerance, (key, gap)


def scaler(**options) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", **{"enabled": False} | options)


def changes(after: dict[str, Tensor], before: dict[str, Tensor]) -> dict[str, Tensor]:
    """What training did to each tensor."""
    return {k: after[k].detach().double() - before[k].detach().double() for k in before}


def train(pair, epochs: list[list[tuple[Tensor, Tensor]]], rate: float) -> list[dict[str, float]]:
    """Train as an engine does, with Dassl's own SGD and cosine after one epoch of warm-up.

    Args:
        epochs: the batches of each, in float64.

    Returns:
        The steps' summaries.
    """
    cfg = get_cfg_default().OPTIM
    cfg.update(NAME="sgd", LR=rate, MAX_EPOCH=len(epochs), LR_SCHEDULER="cosine")
    cfg.update(WARMUP_EPOCH=1, WARMUP_TYPE="constant", WARMUP_CONS_LR=1e-5)
    model, summaries = pair.model, []
    optimizer = build_optimizer(model.prompt_learner, cfg)
    schedule = build_lr_scheduler(optimizer, cfg)
    for epoch, batches in enumerate(epochs, start=1):
        for images, labels in batches:
            given = images.to(pair.images.dtype)
            summaries.append(training_step(model, optimizer, scaler(), given, labels))
        schedule.step()
        for part in model.regularisers.values():
            part.epoch_ended(model, epoch, len(epochs))
    for part in model.regularisers.values():
        part.training_ended(model)
    return summaries
