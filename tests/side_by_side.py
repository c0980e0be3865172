"""A method beside a slow reference in float64: logits, loss terms, gradients, three steps."""

import random
from collections.abc import Callable, Sequence

import torch
from any_method import backbone
from multimode_ot import build_model
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.training.step import training_step
from parity import settings
from random_clip import SHAPES
from torch import Tensor

LOGITS, TERMS, COSINE, STEPS = 1e-4, 1e-5, 0.9999, 1e-5
# Logits and named loss terms of images (a list of views) and labels, from prompts.
Slow = Callable[[dict[str, Tensor], Sequence[Tensor], Tensor], tuple[Tensor, dict[str, Tensor]]]


def loaded(method, shape, names, prompts, changes, dataset=None) -> PromptedCLIP:
    model = build_model(
        method, backbone(shape), names, settings(method, **changes), dataset=dataset
    )
    report = model.load_prompts(prompts)
    assert report.used == tuple(prompts) and not report.missed and not report.unexpected
    return model


def random_views(shape: str, count: int, views: int, seed: int) -> list[Tensor]:
    size = SHAPES[shape]["image_resolution"]
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 3, size, size, generator=generator) for _ in range(views)]


def assert_same_training(
    model: PromptedCLIP,
    prompts: dict[str, Tensor],
    slow: Slow,
    trained: Sequence[str],
    shape: str = "tiny-vit",
    views: int = 1,
    steps: int = 3,
) -> None:
    """Three steps of SGD from `prompts`, each on other images.

    Args:
        trained: the keys of `prompts` that are trained; the others stay to the bit.
    """
    leaves = {k: v.double().requires_grad_(k in trained) for k, v in prompts.items()}
    own = {key: model.prompt_learner.get_parameter(k) for key, k in own_keys(model, prompts)}
    assert {id(p) for p in model.trained()} == {id(own[k]) for k in trained}
    options = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
    fast = torch.optim.SGD(model.trained(), **options)
    exact = torch.optim.SGD([leaves[k] for k in trained], **options)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    errors = {"logits": 0.0, "terms": 0.0, "cosine": 0.0, "steps": 0.0}
    for step in range(steps):
        images = random_views(shape, 3, views, seed=step)
        labels = torch.arange(3) % len(model.classnames)
        random.seed(step)  # the same draws on both sides
        logits, terms = slow(leaves, [view.double() for view in images], labels)
        loss = sum(terms.values())
        found = model.train()(images[0]).detach()
        errors["logits"] = max(errors["logits"], (found - logits).abs().max().item())
        given = images if views > 1 else images[0]
        random.seed(step)
        summary = training_step(model, fast, scaler, given, labels)
        exact.zero_grad()
        loss.backward()
        shown = terms if len(terms) > 1 else {}
        for name, value in {"loss": loss, **shown}.items():
            gap = abs(summary[name] - value.item()) / abs(value.item())
            errors["terms"] = max(errors["terms"], gap)
        for key in trained:
            got, wanted = own[key].grad.double().flatten(), leaves[key].grad.flatten()
            assert wanted.any(), key
            cosine = torch.cosine_similarity(got, wanted, dim=0).item()
            errors["cosine"] = max(errors["cosine"], 1 - cosine)
        exact.step()
    for key, value in own.items():
        if key not in trained:
            assert torch.equal(value, prompts[key]), key
        gap = (value.double() - leaves[key]).abs().max().item()
        errors["steps"] = max(errors["steps"], gap)
    print(f"beside {model.name}: {', '.join(f'{k} {v:.1e}' for k, v in errors.items())}")
    assert errors["logits"] < LOGITS and errors["terms"] < TERMS
    assert errors["cosine"] < 1 - COSINE and errors["steps"] < STEPS


def own_keys(model: PromptedCLIP, prompts: dict[str, Tensor]) -> list[tuple[str, str]]:
    return list(model.prompt_keys(prompts).items())
