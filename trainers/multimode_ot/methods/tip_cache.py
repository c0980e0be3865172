"""Tip-Adapter's cache of training images, and the search of its alpha and beta."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from ..config import Check

START = 0.1
# The original's upper ends of beta and alpha, by DATASET.NAME; "" for others.
SCALES = {
    "": (7.0, 3.0),
    "ImageNet": (7.0, 3.0),
    "Caltech101": (12.0, 5.0),
    "OxfordPets": (7.0, 3.0),
    "StanfordCars": (20.0, 10.0),
    "OxfordFlowers": (50.0, 50.0),
    "Food101": (10.0, 10.0),
    "FGVCAircraft": (30.0, 30.0),
    "SUN397": (12.0, 10.0),
    "DescribableTextures": (13.0, 13.0),
    "EuroSAT": (12.0, 10.0),
    "UCF101": (7.0, 3.0),
}
AT_ONCE = 2**24  # numbers of `(N, B)` or `(B, K)` in memory


class Cache(nn.Module):
    """`cache_keys` `(N, d)`, `labels` `(N,)` among the cached classes, `alpha` and `beta`; empty at
    the start. Buffers, but for keys that are to be trained."""

    cache_keys: Tensor
    labels: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, width: int, alpha: float, beta: float, trained: bool):
        super().__init__()
        keys = torch.zeros(0, width)
        if trained:
            self.cache_keys = nn.Parameter(keys)
        else:
            self.register_buffer("cache_keys", keys)
        self.register_buffer("labels", torch.zeros(0, dtype=torch.long))
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))


def check_grid(check: Check) -> None:
    """Refuse a SEARCH_SCALE or SEARCH_STEP that makes no grid."""
    scale, step = check.settings.SEARCH_SCALE, check.settings.SEARCH_STEP
    if scale and not (len(scale) == 2 and all(_number(end) and end > START for end in scale)):
        check.refuse("SEARCH_SCALE", f"must be two numbers above {START}, of BETA and ALPHA, or ()")
    if not (len(step) == 2 and all(type(count) is int and count >= 1 for count in step)):
        check.refuse("SEARCH_STEP", "must be two whole numbers of values, at least 1 each")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def grid(cfg: CfgNode, dataset: str | None) -> list[tuple[float, float]]:
    """The pairs of beta and alpha in the original's order; the upper ends are not among them."""
    scale = cfg.SEARCH_SCALE or SCALES.get(dataset or "", SCALES[""])
    betas, alphas = (
        [START + i * (end - START) / count for i in range(count)]
        for end, count in zip(scale, cfg.SEARCH_STEP, strict=True)
    )
    return [(beta, alpha) for beta in betas for alpha in alphas]


@torch.no_grad()
def hits_on(
    points: list[tuple[float, float]],
    z: Tensor,
    labels: Tensor,
    text: Tensor,
    keys: Tensor,
    votes: Callable[[Tensor], Tensor],
) -> list[int]:
    """How many images each pair of beta and alpha classifies correctly.

    Args:
        points: with those of one beta beside each other, for which the cache votes once.
        z: `(I, d)`, unit vectors.
        labels: `(I,)`.
        text: `(K, d)`, of the zero-shot logits.
        keys: `(N, d)`.
        votes: from affinities `(N, B)` to `(B, K)`.
    """
    hits = torch.zeros(len(points), dtype=torch.long, device=z.device)
    size = max(1, AT_ONCE // max(len(keys), len(text)))
    for some, wanted in zip(z.split(size), labels.split(size), strict=True):
        zero_shot, nearness = some @ text.T, keys @ some.T - 1
        voted, cached = None, zero_shot
        for i, (beta, alpha) in enumerate(points):
            if beta != voted:
                voted, cached = beta, votes((beta * nearness).exp())
            hits[i] += ((zero_shot + alpha * cached).argmax(-1) == wanted).sum()
    return hits.tolist()
