"""The plans that similarities are made of, and what these would be without them.

Axes as in `hierarchical`: `B` images, `K` classes, `M` visual and `N` textual prompts (modes),
`J` local outputs of an image, `L` tokens of a prompt (padded); `P` pairs of an image and a class.

Plans are those of a batch as it was evaluated: a stopping rule may span it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .hierarchical import (
    Features,
    Head,
    HierarchicalTransport,
    full_precision,
    measure,
    pooled_similarity,
)
from .sinkhorn import Sinkhorn
from .token_level import LARGEST_COST, PairPlans, Transport, token_plans

# What solves token plans that no logit is made of; each problem stops by itself.
AFTERWARDS = Sinkhorn(epsilon=0.1, groups=(0, 1, 2), largest_cost=LARGEST_COST)


@dataclass(frozen=True)
class Plans:
    """What the similarities of `B` images and `K` classes are made of; no gradient, float32.

    Attributes:
        similarity: `(B, K)`, what the logit scale multiplies.
        independent: `(B, K)`, the same with the independent plan `a b^T` (times the mass of the
            plan that it takes the place of). Of two levels, the prompt-level plan alone.
        all_independent: `(B, K)`, with independent plans at both levels; None of one level.
        prompt: `(B, K, M, N)`, plans between the visual and the textual prompts; None if there are
            no such plans.
        solve_local: plans between local outputs of the image and what `columns` says, of pairs;
            None if there are none. See `local`.
        columns: what the columns of local plans are: the tokens of one textual prompt, or the
            textual prompts themselves (then `M` = `N` = 1).
        afterwards: no logit is made of the local plans; they are solved for looking at them.
        patches: so many rows of local plans, the first, are places in the image; others are not.
    """

    similarity: Tensor
    independent: Tensor
    all_independent: Tensor | None = None
    prompt: Tensor | None = None
    solve_local: Callable[[Tensor, Tensor], PairPlans] | None = None
    columns: Literal["tokens", "prompts"] = "tokens"
    afterwards: bool = False
    patches: int = 0

    def local(self, images: Tensor, classes: Tensor) -> PairPlans | None:
        """The local plans of pairs, `(P, M, N, J, L)`; None if there are none.

        Args:
            images, classes: `(P,)` indices of the batch's images and of the classes.
        """
        return None if self.solve_local is None else self.solve_local(images, classes)


@torch.no_grad()
def plans_of_head(head: Head, image: Features, text: Features, patches: int = 0) -> Plans:
    """The plans of both levels of a head.

    Token-level plans that the head does not solve are solved with epsilon 0.1, where the features
    have tokens.

    Args:
        patches: so many of the image's local outputs, the first, are places in it.

    Raises:
        ValueError: as of a call of the head.
    """
    result = head(image, text)
    image, text = full_precision(image), full_precision(text)
    local, everywhere = None, None
    if image.tokens is not None and text.tokens is not None:
        u, a = measure(image.tokens, image.mask)
        v, b = measure(text.tokens, text.mask)
        solver = head.token_level if head.needs_tokens else None
        local = LocalPlans(u, v, a, b, solver, head.cost_bytes)
    if isinstance(head, HierarchicalTransport):
        mean = head.alignment == "mean"
        mass = 1.0 if mean else head.transport.mass
        independent = result.similarity if mean else 1 - mass * result.cost.mean((-2, -1))
        if local is not None and head.needs_tokens:
            everywhere = 1 - mass * _cost_without_plans(head, image, text, local).mean((-2, -1))
    else:
        independent = pooled_similarity(image, text).mean((-2, -1))
        everywhere = independent if head.needs_tokens else None
    return Plans(
        similarity=result.similarity,
        independent=independent,
        all_independent=everywhere,
        prompt=result.plan,
        solve_local=local,
        afterwards=not head.needs_tokens,
        patches=patches,
    )


@dataclass(frozen=True)
class LocalPlans:
    """Solves the plans of pairs out of a batch's problems.

    Args:
        u: `(B, M, J, d)` and v: `(K, N, L, d)`, unit vectors, zero where padded.
        a: `(B, M, J)` and b: `(K, N, L)`, their masses.
        solver: of all problems of the batch, as the logits are made of them; None: the pairs'
            problems alone, each by itself.
        cost_bytes: as of `token_transport`.
    """

    u: Tensor
    v: Tensor
    a: Tensor
    b: Tensor
    solver: Transport | None
    cost_bytes: int | None = None

    def __call__(self, images: Tensor, classes: Tensor) -> PairPlans:
        if self.solver is not None:
            return token_plans(
                self.u, self.v, self.a, self.b, self.solver, images, classes, self.cost_bytes
            )
        u, v = self.u[images], self.v[classes]
        rows, columns = self.a[images], self.b[classes]
        similarity = torch.einsum("pmjd,pnld->pmnjl", u, v)
        solved = AFTERWARDS(1 - similarity, rows[:, :, None], columns[:, None])
        return PairPlans(solved.plan, similarity, rows, columns)


def _cost_without_plans(
    head: HierarchicalTransport, image: Features, text: Features, local: LocalPlans
) -> Tensor:
    """The paper's prompt-level cost `(B, K, M, N)` with independent token-level plans."""
    # `<a b^T, S>` of tokens is the product of their means, which are not normalised.
    u, v = _mean(local.u, local.a), _mean(local.v, local.b)
    distance = head.transport.mass * (1 - pooled_similarity(Features(u), Features(v)))
    if head.alignment == "token":
        return distance
    return 1 - pooled_similarity(image, text) + head.beta * distance


def _mean(tokens: Tensor, masses: Tensor) -> Tensor:
    """`(X, M, J, d)` and `(X, M, J)` to `(X, M, d)`."""
    return (masses.unsqueeze(-1) * tokens).sum(-2)
