"""What can be said of an image and a class: their plans and the maps made of them, as numbers.

Axes: `M` visual and `N` textual modes, `J` local outputs of an image, `O` of them patches, `L`
columns of a mode's local plan (tokens of a prompt, or prompts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..methods.base import PromptedCLIP
from ..transport.plans import Plans
from .maps import ClassMap, ShareMaps, TokenMaps, class_map, over_visual_modes, share_maps
from .maps import token_maps as maps_of_tokens
from .plans import batch_plans, class_side

DIGITS = 6
UNEVEN = 0.05  # of a plan's mass; solvers that were given marginals leave less of it misplaced


@dataclass(frozen=True)
class Maps:
    """Attributes:
    columns: what the columns of the local plans are, for each textual mode.
    kind: `tokens` or `prompts`.
    local: `J`.
    even: whether rows of local plans have the mass `1 / J`, as all do but conditional transport's.
    afterwards: no logit is made of these plans.
    tokens: map (a) of each pair of modes; `together`: averaged over visual modes.
    shares: map (b); `whole`: map (c).
    """

    columns: list[list[str]]
    kind: str
    local: int
    even: bool
    afterwards: bool
    tokens: TokenMaps
    together: TokenMaps
    shares: ShareMaps
    whole: ClassMap

    @property
    def has_prompt_tokens(self) -> bool:
        """Whether some local outputs have no place in the image."""
        return self.local > self.together.patches.shape[-1]

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": self.columns,
            "kind": self.kind,
            "local_outputs": self.local,
            "solved_afterwards": self.afterwards,
            "tokens": {
                "patches": self._by_column(self.together.patches),
                "elsewhere": self._by_column(self.together.elsewhere),
                "elsewhere_by_visual_mode": [
                    self._by_column(mode) for mode in self.tokens.elsewhere
                ],
            },
            "shares": {
                "patches": numbers(self.shares.patches),
                "elsewhere": numbers(self.shares.elsewhere),
            },
            "class": {
                "patches": numbers(self.whole.patches),
                "elsewhere": numbers(torch.tensor(self.whole.elsewhere)),
            },
        }

    def _by_column(self, values: Tensor) -> list[Any]:
        """`(N, L, ...)` without what is padded."""
        return [numbers(own[: len(names)]) for own, names in zip(values, self.columns, strict=True)]


@dataclass(frozen=True)
class Pair:
    """An image and a class.

    Attributes:
        index: of the class.
        probability: of the class for the image, the softmax of the logits.
        similarity: what the logit scale multiplies.
        prompt: `(M, N)`, the prompt-level plan, of mass 1; None where there is none.
    """

    index: int
    probability: float
    similarity: float | None
    prompt: Tensor | None
    maps: Maps | None


@dataclass(frozen=True)
class SeenImage:
    """What a model makes of an image: the class with the largest logit, and the classes asked
    for."""

    prediction: int
    pairs: list[Pair]


@torch.no_grad()
def see_images(
    model: PromptedCLIP, images: Tensor, classes: Sequence[Sequence[int | None]]
) -> list[SeenImage]:
    """What a model makes of a batch of images.

    Args:
        model: in evaluation mode.
        images: `(B, 3, H, W)`, on its device.
        classes: those that are asked for, for each image; None: the one that is predicted.
    """
    text = class_side(model)
    plans = batch_plans(model, images, text)
    logits = model(images, text) if plans is None else model.logit_scale * plans.similarity
    predicted = logits.argmax(-1).tolist()
    probabilities = logits.softmax(-1).cpu()
    seen = []
    for i, (prediction, asked) in enumerate(zip(predicted, classes, strict=True)):
        indices = list(dict.fromkeys(prediction if k is None else k for k in asked))
        pairs = [
            Pair(
                index=k,
                probability=float(probabilities[i, k]),
                similarity=None if plans is None else float(plans.similarity[i, k]),
                prompt=_prompt(plans, i, k),
                maps=maps,
            )
            for k, maps in zip(indices, _maps(model, plans, i, indices), strict=True)
        ]
        seen.append(SeenImage(prediction, pairs))
    return seen


def _prompt(plans: Plans | None, image: int, index: int) -> Tensor | None:
    if plans is None or plans.prompt is None:
        return None
    return of_mass_one(plans.prompt[image, index]).cpu()


def _maps(
    model: PromptedCLIP, plans: Plans | None, image: int, classes: Sequence[int]
) -> list[Maps | None]:
    """The maps of an image for some classes; None where no plan has places in the image."""
    device = model.device
    pairs = torch.full((len(classes),), image, device=device), torch.tensor(classes, device=device)
    local = plans.local(*pairs) if plans is not None else None
    if plans is None or local is None or not plans.patches:
        return [None] * len(classes)
    found: list[Maps | None] = []
    for p, index in enumerate(classes):
        plan, similarity = of_mass_one(local.plan[p]).cpu(), local.similarity[p].cpu()
        prompt = _prompt(plans, image, index)
        weights = torch.ones(1, 1) if prompt is None else prompt
        tokens = maps_of_tokens(plan, local.b[p].cpu() > 0, plans.patches)
        shares = share_maps(plan, similarity, plans.patches)
        found.append(
            Maps(
                columns=model.columns(index),
                kind=plans.columns,
                local=plan.shape[-2],
                even=_is_even(plan),
                afterwards=plans.afterwards,
                tokens=tokens,
                together=over_visual_modes(tokens, weights),
                shares=shares,
                whole=class_map(shares, weights),
            )
        )
    return found


def _is_even(plan: Tensor) -> bool:
    rows = plan.sum(-1)
    return bool((rows - 1 / rows.shape[-1]).abs().sum(-1).max() < UNEVEN)


def of_mass_one(plan: Tensor) -> Tensor:
    """`(..., J, L)` divided by its mass, which is 2 for conditional transport."""
    return plan / plan.sum((-2, -1), keepdim=True)


def numbers(values: Tensor) -> Any:
    """Plain numbers, nested like the tensor, of as many digits as float32 has."""
    return _rounded(values.tolist())


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.{DIGITS}g}")
