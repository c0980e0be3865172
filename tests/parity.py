"""A method of this package beside its slow reference: logits and prompt gradients."""

import functools

import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.methods.build import default_settings
from original_keys import Shapes, random_prompts
from random_clip import SHAPES, random_clip
from slow_reference import Reference

TOLERANCE = 1e-4
NAMES = ["cat", "a_giant_panda", "2012 Ferrari"]

reference = functools.lru_cache(maxsize=1)(Reference)


def settings(method: str, **changes):
    node = default_settings(method)
    node.PREC = "fp32"
    for key, value in changes.items():
        assert key in node, key
        node[key] = value
    return node


def random_images(shape: str, count: int = 2):
    size = SHAPES[shape]["image_resolution"]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def assert_parity(
    method: str, shape: str, shapes: Shapes, changes, forward, names=NAMES, dataset=None
) -> None:
    """`forward(reference, images, names, prompts)` is the original; logits must agree to 1e-4, and
    gradients to 1e-4 of the largest entry."""
    ours = build_model(method, random_clip(shape), names, settings(method, **changes))
    ours.dataset = dataset
    images, prompts = random_images(shape), random_prompts(shapes)
    labels = torch.arange(len(images)) % len(names)

    report = ours.load_prompts(prompts)
    assert report.used == tuple(prompts) and not report.missed and not report.unexpected
    logits = ours(images)
    F.cross_entropy(logits, labels).backward()
    parameters = dict(ours.prompt_learner.named_parameters())

    leaves = {k: v.clone().requires_grad_() for k, v in prompts.items()}
    expected = forward(reference(shape), images, names, leaves)
    F.cross_entropy(expected, labels).backward()

    error = (logits - expected).abs().max().item()
    relative = 0.0
    for key, own in ours.prompt_keys(prompts).items():
        wanted, got = leaves[key].grad, parameters[own].grad
        if wanted is None:  # a layer whose outputs nothing reads
            assert got is None or not got.any(), key
            continue
        assert wanted.any(), key
        relative = max(relative, ((got - wanted).abs().max() / wanted.abs().max()).item())
    print(f"parity {method} {shape} {changes}: logits {error:.1e}, gradients {relative:.1e}")
    assert error < TOLERANCE and relative < TOLERANCE
