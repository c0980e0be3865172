"""The regularisers as their programs compute them: a class, an image, a number at a time."""

import math
from functools import cache

import torch
from slow_methods import Made, Slow, readable
from slow_reference import norm
from torch import Tensor


def template_consistency(slow: Slow, made: Made, names, template="a photo of a {}.", weight=8.0):
    total, count = 0, 0
    for row in made.texts:
        for name, h in zip(names, row, strict=True):
            h0 = slow.fixed_text(template.format(readable(name)))
            total = total + (h @ h0) / (h.norm() * h0.norm())
            count += 1
    return weight * (1 - total / count)


@cache
@torch.no_grad()
def frozen_text(slow: Slow, name: str, templates: tuple[str, ...]) -> Tensor:
    """The mean of the features as they come, normalised."""
    total = 0
    for template in templates:
        text = template.format(readable(name))
        total = total + slow.text_outputs(slow.embed(text), [])[slow.eos(text)]
    return norm(total / len(templates))


class Teacher:
    """CLIP as it is: class features of some templates, image features, logits."""

    def __init__(self, slow: Slow, images: Tensor, names, templates):
        self.texts = [frozen_text(slow, name, tuple(templates)) for name in names]
        with torch.no_grad():
            # Not the reference's own walk through the tower, but the package's.
            self.images = [norm(slow.clip.encode_image(image[None])[0]) for image in images]
            self.logits = [[slow.scale * z @ h for h in self.texts] for z in self.images]


def frozen_consistency(made: Made, teacher: Teacher, text, image, logits) -> dict[str, Tensor]:
    """The three terms with these weights; of `image` or `text` None: no such term."""
    terms = {}
    if text is not None:
        gaps = [
            abs(h[j] - h0[j])
            for row in made.texts
            for h, h0 in zip(row, teacher.texts, strict=True)
            for j in range(len(h))
        ]
        terms["text_consistency"] = text * sum(gaps) / len(gaps)
    if image is not None:
        gaps = [
            abs(z[j] - z0[j])
            for modes, z0 in zip(made.images, teacher.images, strict=True)
            for z in modes
            for j in range(len(z))
        ]
        terms["image_consistency"] = image * sum(gaps) / len(gaps)
    divergence = 0
    for own, frozen in zip(made.logits, teacher.logits, strict=True):
        l, q = log_softmax(own), log_softmax(frozen)  # noqa: E741
        divergence = divergence + sum(qk.exp() * (qk - lk) for qk, lk in zip(q, l, strict=True))
    terms["logit_consistency"] = logits * divergence / made.logits.numel()
    return terms


def agreement(made: Made, teacher: Teacher, temperature: float) -> Tensor:
    """ProGrad's second loss: the cross-entropy with the teacher's soft labels."""
    total = 0
    for own, frozen in zip(made.logits, teacher.logits, strict=True):
        l = log_softmax([x / temperature for x in own])  # noqa: E741
        q = log_softmax([x / temperature for x in frozen])
        total = total - sum(qk.exp() * lk for qk, lk in zip(q, l, strict=True))
    return temperature**2 * total / len(made.logits)


def cross_entropy(made: Made, labels) -> Tensor:
    losses = [-log_softmax(row)[int(y)] for row, y in zip(made.logits, labels, strict=True)]
    return sum(losses) / len(losses)


def log_softmax(row) -> list[Tensor]:
    total = sum(x.exp() for x in row)
    return [x - total.log() for x in row]


def projected(g: Tensor, r: Tensor, share: float) -> Tensor:
    length = math.sqrt(sum(float(x) ** 2 for x in r.flatten()))
    if length == 0:
        return g
    u = r / length
    along = sum(float(x) * float(y) for x, y in zip(g.flatten(), u.flatten(), strict=True))
    return g - share * along * u if along < 0 else g


def learning_rate(epoch: int, rate: float, epochs: int) -> float:
    """Of epoch 0, 1, ...: one of warm-up, then the cosine, one epoch behind."""
    return 1e-5 if epoch == 0 else rate * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


class SGD:
    """Momentum 0.9, weight decay 5e-4, as the published runs have."""

    def __init__(self):
        self.buffers: dict[str, Tensor] = {}

    def step(self, state: dict[str, Tensor], gradients: dict[str, Tensor], rate: float) -> None:
        for key, gradient in gradients.items():
            gradient = gradient + 5e-4 * state[key].detach()
            if key in self.buffers:
                gradient = 0.9 * self.buffers[key] + gradient
            self.buffers[key] = gradient
            state[key] = (state[key].detach() - rate * gradient).requires_grad_()

    def minimise(self, state: dict[str, Tensor], loss: Tensor, rate: float) -> None:
        """A step on a loss; a tensor that it does not depend on stays, without decay too."""
        found = torch.autograd.grad(loss, list(state.values()), allow_unused=True)
        pairs = zip(state, found, strict=True)
        self.step(state, {key: g for key, g in pairs if g is not None}, rate)


def gaussian_weights(epochs: int, mean: float, std: float) -> list[float]:
    g = [math.exp(-(((a - mean) / std) ** 2) / 2) for a in range(1, epochs + 1)]
    return [x / sum(g) for x in g]


def kgcoop(slow, forward, state, epochs, names, rate, weight=8.0, template="a photo of a {}."):
    """KgCoOp: CoOp, whose class features stay near those of a template. Returns the losses."""
    optimizer, losses = SGD(), []
    for epoch, batches in enumerate(epochs):
        for images, labels in batches:
            made = forward(images, names, state)
            loss = cross_entropy(made, labels)
            loss = loss + template_consistency(slow, made, names, template, weight)
            optimizer.minimise(state, loss, learning_rate(epoch, rate, len(epochs)))
            losses.append(float(loss.detach()))
    return losses


def promptsrc(slow, forward, state, epochs, names, rate, templates, mean, std, image=True):
    """PromptSRC: three consistencies with frozen CLIP, and a Gaussian average of the epochs.

    Args:
        image: whether there are visual prompts.

    Returns:
        The losses, and the last iterate, which training ends with; `state` becomes the average.
    """
    optimizer, losses = SGD(), []
    average = {key: torch.zeros_like(value) for key, value in state.items()}
    for epoch, batches in enumerate(epochs):
        for images, labels in batches:
            made, teacher = forward(images, names, state), Teacher(slow, images, names, templates)
            terms = frozen_consistency(made, teacher, 25, 10 if image else None, 1)
            loss = cross_entropy(made, labels) + sum(terms.values())
            optimizer.minimise(state, loss, learning_rate(epoch, rate, len(epochs)))
            losses.append(float(loss.detach()))
        for key, value in state.items():
            weight = gaussian_weights(len(epochs), mean, std)[epoch]
            average[key] = average[key] + weight * value.detach()
    last = {key: value.detach().clone() for key, value in state.items()}
    state.update(average)
    return losses, last
