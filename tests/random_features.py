"""Random normalised features, and plain loops over problems to hold the head against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from multimode_ot.transport import Features
from torch import Tensor

TIGHT = {"max_iterations": 20_000, "tolerance": 1e-11}


def random_features(
    count: int,
    modes: int,
    tokens: int,
    seed: int,
    lengths: list[list[int]] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Features:
    """`lengths[x][m]` tokens of mode `m` of `x`; the padding holds unit vectors like any other."""
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape: int) -> Tensor:
        values = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
        return F.normalize(values, dim=-1).to(dtype)

    pooled, local = unit(count, modes), unit(count, modes, tokens)
    mask = None
    if lengths is not None:
        mask = torch.arange(tokens) < torch.tensor(lengths)[..., None]
    return Features(pooled, local, mask)


def image_and_text(modes: int = 2, prompts: int = 3, dtype=torch.float64, one_length: bool = False):
    """Two images of 7 local outputs, four classes of 2 to 5 tokens, differing by mode unless
    `one_length`."""
    lengths = [[2 + (k + n * (not one_length)) % 4 for n in range(prompts)] for k in range(4)]
    return (
        random_features(2, modes, 7, seed=0, dtype=dtype),
        random_features(4, prompts, 5, seed=1, lengths=lengths, dtype=dtype),
    )


def real_tokens(side: Features, x: int, m: int) -> Tensor:
    tokens = side.tokens[x, m]
    return tokens if side.mask is None else tokens[side.mask[x, m]]


def token_costs(image: Features, text: Features, b: int, k: int) -> list[list[Tensor]]:
    """`1 - <u, v>` of every pair of modes, without padding."""
    return [
        [1 - real_tokens(image, b, m) @ real_tokens(text, k, n).T for n in range(modes_of(text))]
        for m in range(modes_of(image))
    ]


def modes_of(side: Features) -> int:
    return side.pooled.shape[1]


def by_loops(image: Features, text: Features, solve, beta: float = 1.0, pooled: float = 1.0):
    """The paper's head, one small problem at a time; `solve(cost)` returns a plan.

    `C = pooled * (1 - <z, h>) + beta * dt`; plans are constants. Returns similarities `(B, K)`.
    """
    rows = []
    for b in range(len(image.pooled)):
        row = []
        for k in range(len(text.pooled)):
            cost = pooled * (1 - image.pooled[b] @ text.pooled[k].T)
            if beta:
                distances = [
                    torch.stack([(solve(c.detach()) * c).sum() for c in costs])
                    for costs in token_costs(image, text, b, k)
                ]
                cost = cost + beta * torch.stack(distances)
            row.append(1 - (solve(cost.detach()) * cost).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def released_sinkhorn(costs: Tensor, epsilon: float) -> Tensor:
    """The released program's solver for one call, `costs` `(problems, J, L)`."""
    kernel = torch.exp(-costs / epsilon)
    r, c = kernel.new_ones(kernel.shape[:2]), kernel.new_ones(kernel.shape[0], kernel.shape[2])
    for _ in range(100):
        previous = r
        r = (1 / kernel.shape[1]) / (kernel * c[:, None]).sum(-1)
        c = (1 / kernel.shape[2]) / (kernel * r[:, :, None]).sum(-2)
        if (r - previous).abs().mean() < 1e-2:
            break
    return r[:, :, None] * kernel * c[:, None]


def released_by_loops(image: Features, text: Features, epsilon: float, hierarchical: bool = True):
    """Steps 1 to 7 of the released program's head: similarities `(B, K)`, without the scale."""
    similarity = torch.einsum("bmd,knd->bkmn", image.pooled, text.pooled)
    cost = 1 - similarity.detach()
    if hierarchical:
        cost = cost.clone()
        for b in range(len(image.pooled)):
            for k in range(len(text.pooled)):
                pairs = torch.stack([c for row in token_costs(image, text, b, k) for c in row])
                plans = released_sinkhorn(pairs.detach(), epsilon)
                cost[b, k] += (plans * (1 - pairs.detach())).sum((-2, -1)).view(cost.shape[2:])
    plan = released_sinkhorn(cost.flatten(0, 1), epsilon).view(cost.shape)
    return (plan * similarity).sum((-2, -1))
