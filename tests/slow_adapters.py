"""The adapters on frozen features as their programs compute them: one image, one class and one
cached image at a time, in float64, with the optimisers' updates written out."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from slow_methods import Slow, readable
from slow_reference import norm
from torch import Tensor, nn


class SlowAdapters(Slow):
    """Logits `(B, K)` from images, and from tensors under the original's key names."""

    def image(self, image: Tensor) -> Tensor:
        """Not normalised."""
        return self.image_outputs(image, [])[0].detach()

    def text(self, text: str) -> Tensor:
        """Not normalised."""
        return self.text_outputs(self.embed(text), [])[self.eos(text)].detach()

    def mean_of_units(self, name: str, templates) -> Tensor:
        """`W-norm`, and for one template `W-one`."""
        units = [norm(self.text(t.replace("{}", readable(name)))) for t in templates]
        return norm(sum(units) / len(units))

    def mean_of_raw(self, name: str, templates) -> Tensor:
        """`W-raw`, of the name as it is given."""
        return sum(self.text(t.replace("{}", name)) for t in templates) / len(templates)

    def taskres(self, images, names, state, templates, scale, projection=None) -> Tensor:
        own = self.clip.text_projection
        try:
            if projection is not None:
                self.clip.text_projection = nn.Parameter(projection.double().T)
            base = [self.mean_of_raw(name, templates) for name in names]
        finally:
            self.clip.text_projection = own
        rows = state["text_feature_residuals"]
        texts = [norm(t + scale * x) for t, x in zip(base, rows, strict=True)]
        return self.products(images, texts)

    def clip_adapter(self, images, names, state, templates, ratio) -> Tensor:
        texts = [self.mean_of_units(name, templates) for name in names]
        rows = []
        for image in images:
            f = self.image(image)
            a = F.relu(state["fc.2.weight"] @ F.relu(state["fc.0.weight"] @ f))
            z = norm(ratio * a + (1 - ratio) * f)
            rows.append(torch.stack([self.scale * z @ w for w in texts]))
        return torch.stack(rows)

    def products(self, images, texts) -> Tensor:
        rows = [[self.scale * norm(self.image(i)) @ w for w in texts] for i in images]
        return torch.stack([torch.stack(row) for row in rows])

    def keys(self, passes) -> Tensor:
        """Of each training image the normalised mean over its views; `passes` `(P, N, 3, H, W)`."""
        views = zip(*passes, strict=True)
        return torch.stack([norm(sum(map(self.image, v)) / len(v)) for v in views])

    def tip(self, images, names, state, templates) -> Tensor:
        texts = [self.mean_of_units(name, templates) for name in names]
        alpha, beta = state["alpha"], state["beta"]
        rows = []
        for image in images:
            z = norm(self.image(image))
            row = [self.scale * z @ w for w in texts]
            for key, label in zip(state["cache_keys"], state["labels"].tolist(), strict=True):
                row[label] = row[label] + alpha * torch.exp(-beta * (1 - z @ key))
            rows.append(torch.stack(row))
        return torch.stack(rows)


def tip_grid(scale, step) -> list[tuple[float, float]]:
    """Pairs of beta and alpha; beta outer."""
    (b, a), (n_b, n_a) = scale, step
    return [
        (0.1 + i * (b - 0.1) / n_b, 0.1 + j * (a - 0.1) / n_a)
        for i in range(n_b)
        for j in range(n_a)
    ]


def tip_search(slow, images, labels, names, state, templates, points) -> list[int]:
    """Correctly classified images at each point."""
    hits = []
    for beta, alpha in points:
        there = {**state, "beta": torch.tensor(beta), "alpha": torch.tensor(alpha)}
        hits.append(int((slow.tip(images, names, there, templates).argmax(1) == labels).sum()))
    return hits


# One update of a tensor; `memory` is empty before the first.


def adam(value, gradient, memory, rate, decay=0.0, eps=1e-8, coupled=True) -> Tensor:
    """Adam with betas 0.9 and 0.999; weight decay in the gradient, or (AdamW) beside it."""
    if coupled:
        gradient = gradient + decay * value
    else:
        value = value - rate * decay * value
    t = memory["t"] = memory.get("t", 0) + 1
    m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * gradient**2
    return value - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + eps)


def sgd(value, gradient, memory, rate, decay=5e-4) -> Tensor:
    """With momentum 0.9."""
    gradient = gradient + decay * value
    memory["m"] = 0.9 * memory["m"] + gradient if memory else gradient
    return value - rate * memory["m"]


def cosine(rate: float, step: int, steps: int) -> float:
    """To 0 over all steps, from step 0."""
    return rate / 2 * (1 + math.cos(math.pi * step / steps))


@cache
def slow_adapters(shape: str) -> SlowAdapters:
    return SlowAdapters(shape)
