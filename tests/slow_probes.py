"""The probes on CLIP's features, from their formulas, one image and one class at a time in float64.

Built on the `clip` package's own modules: it shares nothing with the code under test.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import clip
import torch
from random_clip import package_model
from slow_methods import to_double
from torch import Tensor


class SlowCLIP:
    """CLIP's features, one at a time."""

    def __init__(self, shape: str):
        self.clip = to_double(package_model(shape)).requires_grad_(False)
        self.scale = self.clip.logit_scale.exp()

    def image(self, image: Tensor) -> Tensor:
        return self.clip.encode_image(image.double()[None])[0]

    def text(self, sentence: str) -> Tensor:
        return self.clip.encode_text(clip.tokenize([sentence]))[0]

    def raw_text(self, name: str, templates: Sequence[str]) -> Tensor:
        """`W-raw`: the mean, and no norm."""
        return sum(self.text(t.format(name)) for t in templates) / len(templates)

    def unit_text(self, name: str, templates: Sequence[str]) -> Tensor:
        """`W-norm`: norm, mean, norm."""
        return unit(sum(unit(self.text(t.format(name))) for t in templates) / len(templates))


def unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum().sqrt()


def cross_entropy(logits: list[list[Tensor]], labels: Sequence[int]) -> Tensor:
    losses = [torch.stack(row).logsumexp(0) - row[y] for row, y in zip(logits, labels, strict=True)]
    return sum(losses) / len(losses)


# ZS-LP and CLAP.


def prototype_logits(scale, features, prototypes) -> list[list[Tensor]]:
    return [[scale * unit(f) @ unit(w) for w in prototypes] for f in features]


def multipliers(scale, passes, labels, text, variant: str = "") -> list[Tensor]:
    """`passes` of features each, with the same labels."""
    chances: list[list[Tensor]] = [[] for _ in text]
    for features in passes:
        for row, y in zip(prototype_logits(scale, features, text), labels, strict=True):
            chances[y].append(torch.stack(row).softmax(0)[y])
    a = [sum(own) / len(own) for own in chances]
    if variant == "balanced":
        a = [torch.ones_like(x) for x in a]
    if variant == "corrected":
        a = [x * len(a) / sum(a) for x in a]
    if variant == "constant":
        a = [sum(a) / len(a) for _ in a]
    return a


def distance(w: Tensor, t: Tensor, kind: str) -> Tensor:
    return 1 - unit(w) @ unit(t) if kind == "cosine" else (w - t).square().sum()


def constraint(prototypes, text, a, kind: str) -> Tensor:
    terms = [x * distance(w, t, kind) for x, w, t in zip(a, prototypes, text, strict=True)]
    return sum(terms) / len(terms)


def outer_steps(distances: list[list[float]], a: list[float]) -> list[float]:
    """`adaptative`: the multipliers after epochs that ended with these squared distances."""
    rho = [0.0] * len(a)
    for h in distances:
        a = [max(x + r * d, 0.0) for x, r, d in zip(a, rho, h, strict=True)]
        rho = h
    return a


def sgd(tensors: list[Tensor], loss, lr: float, steps: int, momentum: float = 0.9) -> list[Tensor]:
    """Tensors after steps of SGD with momentum, without weight decay."""
    moved = [torch.zeros_like(t) for t in tensors]
    for _ in range(steps):
        leaves = [t.detach().requires_grad_() for t in tensors]
        gradients = torch.autograd.grad(loss(leaves), leaves)
        moved = [momentum * v + g for v, g in zip(moved, gradients, strict=True)]
        tensors = [t - lr * v for t, v in zip(tensors, moved, strict=True)]
    return tensors


# LP++.


def lppp_start(z: list[Tensor], labels: Sequence[int], text: list[Tensor]) -> dict[str, Any]:
    """`w`, `alpha`, and both step sizes."""
    w = [sum(x for x, y in zip(z, labels, strict=True) if y == k) for k in range(len(text))]
    means = []
    for k, t in enumerate(text):
        own = [x @ t for x, y in zip(z, labels, strict=True) if y == k]
        means.append(sum(own) / len(own))
    gram = sum(torch.outer(x, x) for x in z)
    most = max(sum((x @ t) ** 2 for x in z) for t in text)
    return {
        "w": w,
        "alpha": 250 * sum(means) / len(means),
        "lr": 4 * len(z) / max(torch.linalg.eigvals(gram).real.tolist()),
        "alpha_lr": len(z) / (4 * most),
    }


def lppp_logits(z, text, w, b, alpha) -> list[list[Tensor]]:
    classes = list(zip(text, w, b, alpha, strict=True))
    return [[v @ x + c + a * (t @ x) for t, v, c, a in classes] for x in z]


def lppp_epochs(z, labels, text, b, epochs: int, accumulated: bool) -> Iterator[list[Tensor]]:
    """`w`, `b`, `alpha` after each epoch."""
    start = lppp_start(z, labels, text)
    w, alpha = torch.stack(start["w"]), start["alpha"].repeat(len(text))
    moved = [torch.zeros_like(w), torch.zeros_like(b)]
    gathered = torch.zeros_like(alpha)
    for epoch in range(1, epochs + 1):
        leaves = [t.detach().requires_grad_() for t in (w, b, alpha)]
        loss = cross_entropy(lppp_logits(z, text, *leaves), labels)
        *gradients, g = torch.autograd.grad(loss, leaves)
        moved = [0.9 * v + own for v, own in zip(moved, gradients, strict=True)]
        w, b = w - start["lr"] * moved[0], b - start["lr"] * moved[1]
        gathered = gathered + g if accumulated else g
        if epoch % 10 == 0:
            alpha = alpha - start["alpha_lr"] * gathered
        yield [w, b, alpha]


# The linear probe.


def probe_objective(weight: Tensor, bias: Tensor, features, labels, strength: float) -> Tensor:
    logits = [[w @ f + c for w, c in zip(weight, bias, strict=True)] for f in features]
    return strength * len(labels) * cross_entropy(logits, labels) + weight.square().sum() / 2


def probe_search(hits, steps: int) -> float:
    """The `C` of a search; `hits(C)` is the accuracy on validation images."""
    best, peak = -1.0, 0.0
    for strength in (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6):
        if hits(strength) > best:
            best, peak = hits(strength), strength
    left, right, last = peak / 10, peak * 10, peak
    for _ in range(steps):
        at_left, at_right = hits(left), hits(right)
        middle = (left * right) ** 0.5
        if at_right > at_left:
            last, left = right, middle
        else:
            last, right = left, middle
    return last
