"""The form in which Sinkhorn computes a problem of any finite costs and any masses.

Axes: `...` problems, `J` rows, `L` columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import Problem, finite_range
from .kernels import Kernel, LogKernel, PlainKernel

# Scalings grow up to exp((max C - min C) / epsilon) over the smallest mass; these exponents leave
# room to the largest number, exp(88) and exp(709).
LARGEST_EXPONENT = {torch.float32: 60, torch.float64: 600}
# Beyond these (max C - min C) / epsilon the costs' own rounding decides the plan.
LARGEST_RATIO = {torch.float32: 1e5, torch.float64: 1e12}


class Form(NamedTuple):
    """Problems of unit mass whose plans, times `mass`, are those asked for.

    Attributes:
        kernel: in the dtype to compute in.
        a: `(..., J)` and b: `(..., L)`, marginals in that dtype, each summing to 1.
        mass: `(...)` float64; None if it is 1 everywhere.
        determined: `(...)`, whether the costs' precision determines the plan.
    """

    kernel: Kernel
    a: Tensor
    b: Tensor
    mass: Tensor | None
    determined: Tensor


def find_form(problem: Problem, epsilon: float) -> Form:
    """The fastest form that is right for the values of a problem.

    Plain numbers in the costs' own dtype where they can hold the scalings, plain float64 where
    that can, and else logarithms in float64, since those of float32 lose digits as they grow.

    Raises:
        ValueError: a value that is not finite; masses that are negative, or not equal and positive.
    """
    cost, a, b, _ = problem
    low, high = finite_range("cost", cost)
    total = problem.total_mass()
    mass = None if (total == 1).all() else total
    if mass is not None:
        a, b = ((m.double() / mass.unsqueeze(-1)).to(m.dtype) for m in (a, b))
    smallest = min(m.masked_fill(m == 0, 1).amin().item() for m in (a.detach(), b.detach()))
    determined = torch.ones_like(total, dtype=torch.bool)
    spread = -math.log(smallest)
    # Not shifted, so that the rule `scaling` sees the scalings of the costs as they are.
    exponent = max(high - low, -low, high) / epsilon + spread
    if exponent <= LARGEST_EXPONENT[cost.dtype]:
        return Form(PlainKernel.of(cost, epsilon), a, b, mass, determined)
    exact, a, b = cost.double(), a.double(), b.double()
    if exponent <= LARGEST_EXPONENT[torch.float64]:
        return Form(PlainKernel.of(exact, epsilon), a, b, mass, determined)
    shifted, span = from_zero(exact, no_mass(a, b))
    ratio = span / epsilon
    if ratio.max().item() + spread <= LARGEST_EXPONENT[torch.float64]:
        return Form(PlainKernel.of(shifted, epsilon), a, b, mass, determined)
    determined = (ratio <= LARGEST_RATIO[cost.dtype])[..., 0, 0]
    # A larger ratio has no digit left for the plan: a larger epsilon keeps it finite.
    regularisation = (span / LARGEST_RATIO[torch.float64]).clamp(min=epsilon)
    return Form(LogKernel.of(shifted, regularisation), a, b, mass, determined)


def from_zero(cost: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """Costs less each problem's smallest, which changes no plan, and the largest that is left.

    Args:
        cost: `(..., J, L)`.
        empty: `(..., J, L)`, where there can be no mass: zero in the result.

    Raises:
        ValueError: costs too far apart for a difference.
    """
    low = cost.detach().masked_fill(empty, torch.inf).amin((-2, -1), keepdim=True)
    span = cost.detach().masked_fill(empty, -torch.inf).amax((-2, -1), keepdim=True) - low
    if not span.isfinite().all():
        raise ValueError(
            f"cost spans {low.min().item():g} to {cost.max().item():g}, too much for float64"
        )
    return (cost - low).masked_fill(empty, 0), span


def no_mass(a: Tensor, b: Tensor) -> Tensor:
    """Where a plan `(..., J, L)` between marginals `(..., J)` and `(..., L)` has no mass."""
    return (a == 0).unsqueeze(-1) | (b == 0).unsqueeze(-2)
