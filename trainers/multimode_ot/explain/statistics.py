"""How much a plan says, and what the answers would be without it, over a set of images.

Axes: `...` problems, `J` rows, `L` columns of a plan; `B` images of a batch, `K` classes, `P` pairs
of an image and a class, `M` and `N` modes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP
from ..transport.plans import Plans
from .plans import batch_plans, class_side, has_plans

PROMPT, LOCAL = "prompt", "local"  # the two levels


def normalised_entropy(plan: Tensor) -> Tensor:
    """`(H(T) - H_min) / (H(a) + H(b) - H_min)`, `H_min = max(H(a), H(b))`, of plans `(..., J, L)`.

    `H(T) = -sum T log T` is Shannon's entropy, and `H_min` a lower bound of that of any plan with
    these marginals. 1 for the independent plan `a b^T`, 0 for one as sharp as its marginals allow;
    0 by definition where they allow one plan only, as with one row or one column.

    Plans are divided by their mass first, and `a`, `b` are the sums of their own rows and columns
    (where a solver stopped early, or conditional transport has no given ones, these are the
    marginals of which the bounds hold). Rows and columns without mass are padding.

    Returns:
        `(...)`, float64, between 0 and 1.
    """
    plan = plan.double()
    plan = plan / plan.sum((-2, -1), keepdim=True)
    rows, columns = plan.sum(-1), plan.sum(-2)
    h_rows, h_columns = shannon(rows, 1), shannon(columns, 1)
    least = torch.maximum(h_rows, h_columns)
    only_one = ((rows > 0).sum(-1) < 2) | ((columns > 0).sum(-1) < 2)
    range_ = torch.where(only_one, 1, h_rows + h_columns - least)
    return ((shannon(plan, 2) - least) / range_).clamp(0, 1).masked_fill(only_one, 0)


def shannon(masses: Tensor, axes: int) -> Tensor:
    """`-sum p log p` over the last axes."""
    return -torch.xlogy(masses, masses).sum(tuple(range(-axes, 0)))


def distance_to_independent(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The total variation `sum |T - a b^T| / 2`, per unit of mass.

    Args:
        plan: `(..., J, L)`, of any mass.
        a: `(..., J)` and b: `(..., L)`, marginals of mass 1.

    Returns:
        `(...)`, float64, between 0 and 1.
    """
    plan = plan.double()
    plan = plan / plan.sum((-2, -1), keepdim=True)
    independent = a.double().unsqueeze(-1) * b.double().unsqueeze(-2)
    return (plan - independent).abs().sum((-2, -1)) / 2


class Summary(NamedTuple):
    """Over images: the mean, and the standard deviation (of a population)."""

    mean: float
    spread: float


@dataclass(frozen=True)
class Level:
    """The plans of one level; of an image with several, their mean.

    Attributes:
        entropy, distance: `normalised_entropy` and `distance_to_independent`, of the plans for the
            `predicted` and for the `true` class.
        afterwards: no logit is made of these plans.
    """

    entropy: Mapping[str, Summary]
    distance: Mapping[str, Summary]
    afterwards: bool


class Replaced(NamedTuple):
    """What a trained model answers with independent plans, in per cent of the images.

    Attributes:
        changed: the prediction is another one than with the plans.
    """

    accuracy: float
    changed: float


@dataclass(frozen=True)
class PlanStatistics:
    """Over a set of images.

    Attributes:
        accuracy: in per cent, with the plans.
        levels: `prompt`, `local`, as far as there are such plans.
        independent: with `a b^T` in the place of the plans: of two levels, of the prompt-level plan
            alone.
        all_independent: at both levels; None of one level.
    """

    images: int
    accuracy: float
    levels: Mapping[str, Level]
    independent: Replaced
    all_independent: Replaced | None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        levels = {
            name: {
                "entropy": {which: s._asdict() for which, s in level.entropy.items()},
                "distance": {which: s._asdict() for which, s in level.distance.items()},
                "afterwards": level.afterwards,
            }
            for name, level in self.levels.items()
        }
        everywhere = self.all_independent
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "levels": levels,
            "independent": self.independent._asdict(),
            "all_independent": None if everywhere is None else everywhere._asdict(),
        }


def plan_statistics(
    model: PromptedCLIP, batches: Iterable[tuple[Tensor, Tensor]]
) -> PlanStatistics | None:
    """Statistics of the plans that a model's answers to a set of images are made of.

    Held at once are one batch's plans of two classes an image; of whole sets only numbers.

    Args:
        model: in evaluation mode.
        batches: images `(B, 3, H, W)`, as the evaluation gives them to the model, and labels
            `(B,)`. Where plans depend on the batch, its batches give the evaluation's plans.

    Returns:
        None of a method that has no plans.

    Raises:
        ValueError: there is no batch.
    """
    values: dict[str, list[Tensor]] = defaultdict(list)
    afterwards = {}
    text = class_side(model) if has_plans(type(model)) else None
    for images, labels in batches:
        plans = batch_plans(model, images.to(model.device), text)
        if plans is None:
            return None
        afterwards = {PROMPT: False, LOCAL: plans.afterwards}
        for name, column in _columns(plans, labels.to(model.device)).items():
            values[name].append(column.cpu())
    if not values:
        raise ValueError("no statistics of plans: there was no batch")
    return _summarised({name: torch.cat(parts) for name, parts in values.items()}, afterwards)


def _columns(plans: Plans, labels: Tensor) -> dict[str, Tensor]:
    """One number an image of each kind, `(B,)`; those of a level as `LEVEL KIND CLASS`."""
    predicted = plans.similarity.argmax(-1)
    found = {"right": predicted == labels}
    for name in ("independent", "all_independent"):
        similarity = getattr(plans, name)
        if similarity is not None:
            answer = similarity.argmax(-1)
            found |= {f"{name} right": answer == labels, f"{name} changed": answer != predicted}
    images = torch.arange(len(labels), device=labels.device)
    wrong = ~found["right"]
    pairs = torch.cat([images, images[wrong]]), torch.cat([predicted, labels[wrong]])
    own = images.clone()  # where an image's true class stands among the pairs
    own[wrong] = len(images) + torch.arange(int(wrong.sum()), device=labels.device)
    for level, measures in _levels(plans, *pairs).items():
        for kind, column in measures.items():
            found[f"{level} {kind} predicted"] = column[: len(images)]
            found[f"{level} {kind} true"] = column[own]
    return found


def _levels(plans: Plans, images: Tensor, classes: Tensor) -> dict[str, dict[str, Tensor]]:
    """Entropy and distance of each level's plans of pairs, `(P,)`; means over pairs of modes."""
    found = {}
    if plans.prompt is not None:
        plan = plans.prompt[images, classes]  # (P, M, N)
        a, b = (plan.new_full((size,), 1 / size) for size in plan.shape[1:])
        found[PROMPT] = {
            "entropy": normalised_entropy(plan),
            "distance": distance_to_independent(plan, a, b),
        }
    local = plans.local(images, classes)
    if local is not None:  # (P, M, N, J, L)
        a, b = local.a.unsqueeze(2), local.b.unsqueeze(1)
        found[LOCAL] = {
            "entropy": normalised_entropy(local.plan).mean((1, 2)),
            "distance": distance_to_independent(local.plan, a, b).mean((1, 2)),
        }
    return found


def _summarised(values: Mapping[str, Tensor], afterwards: Mapping[str, bool]) -> PlanStatistics:
    def per_cent(name: str) -> float:
        return 100 * float(values[name].double().mean())

    def replaced(name: str) -> Replaced:
        return Replaced(per_cent(f"{name} right"), per_cent(f"{name} changed"))

    def summaries(level: str, kind: str) -> dict[str, Summary]:
        columns = {which: values[f"{level} {kind} {which}"] for which in ("predicted", "true")}
        return {which: _summary(column) for which, column in columns.items()}

    levels = {
        level: Level(
            entropy=summaries(level, "entropy"),
            distance=summaries(level, "distance"),
            afterwards=afterwards[level],
        )
        for level in (PROMPT, LOCAL)
        if f"{level} entropy true" in values
    }
    everywhere = "all_independent"
    return PlanStatistics(
        images=len(values["right"]),
        accuracy=per_cent("right"),
        levels=levels,
        independent=replaced("independent"),
        all_independent=replaced(everywhere) if f"{everywhere} right" in values else None,
    )


def _summary(column: Tensor) -> Summary:
    return Summary(float(column.mean()), float(column.std(correction=0)))
