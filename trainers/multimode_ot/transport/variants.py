"""Transports other than Sinkhorn's, called like it: `transport(cost, a, b)`.

Axes: `...` problems, `J` rows, `L` columns; zero mass marks padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .checks import Problem, finite_range
from .forms import from_zero, no_mass

# Beyond this size of C / phi, float32 has too few digits for a softmax.
LARGEST_SCORE = 60
SIMPLEX_ITERATIONS = 10_000_000


@dataclass(frozen=True)
class TransportResult:
    """A plan `(..., J, L)` for a cost of the same shape."""

    cost: Tensor
    plan: Tensor

    @property
    def transport_cost(self) -> Tensor:
        """`<T, C>`, `(...)`."""
        return (self.plan * self.cost).sum((-2, -1))


@dataclass(frozen=True)
class ConditionalTransport:
    """Two soft assignments (Zheng and Zhou, "Exploiting Chain Rule and Bayes' Theorem to Compare
    Probability Distributions", NeurIPS 2021).

    Each row is assigned to the columns by a softmax of `-C / phi`, each column to the rows
    likewise; the two expected costs are added, so a plan has mass 2. Differentiable as it stands,
    in `phi` too.

    Args:
        phi: positive scalar tensor, the temperature of the assignments.
        vouched: the caller knows that all arguments are sound: a call looks at no value, and
            stalls no accelerator.
    """

    phi: Tensor
    vouched: bool = False
    mass: ClassVar[float] = 2.0  # of a plan between marginals of mass 1

    def __call__(self, cost: Tensor, a: Tensor, b: Tensor) -> TransportResult:
        """`cost` `(..., J, L)`, marginals `a` `(..., J)` and `b` `(..., L)`.

        Raises:
            ValueError: an empty cost, or marginals whose sizes do not fit it. Where nobody vouches
                also NaN or Inf in any argument, a `phi` that is no positive number, and masses
                that are negative, or not equal and positive.
        """
        problem = Problem.of(cost, a, b)
        exact = problem.cost
        if not self.vouched and self._largest_score(problem) > LARGEST_SCORE:
            exact = exact.double()
        scores = -exact / self.phi
        rows, columns = problem.a.unsqueeze(-1), problem.b.unsqueeze(-2)
        forward = scores.masked_fill(columns == 0, -torch.inf).softmax(-1)
        backward = scores.masked_fill(rows == 0, -torch.inf).softmax(-2)
        plan = rows * forward + columns * backward
        return TransportResult(problem.cost, plan.to(problem.cost.dtype))

    def _largest_score(self, problem: Problem) -> float:
        """The largest `|C| / phi`, of arguments that are all sound."""
        phi, _ = finite_range("phi", self.phi)
        if self.phi.numel() != 1 or not phi > 0:
            raise ValueError(f"phi {self.phi.tolist()} must be one positive number")
        low, high = finite_range("cost", problem.cost)
        problem.total_mass()
        largest = max(high, -low) / phi
        if not math.isfinite(largest):
            raise ValueError(f"phi {phi:g} is too small for a cost of {max(high, -low):g}")
        return largest


@dataclass(frozen=True)
class ExactTransport:
    """The unregularised optimal plan by POT's network simplex, one problem at a time.

    For evaluation only: the plan is piecewise constant, and the solver runs on the host.

    Args:
        vouched: the caller knows that all arguments are sound, and masses sum to 1.
    """

    vouched: bool = False
    mass: ClassVar[float] = 1.0

    def __call__(self, cost: Tensor, a: Tensor, b: Tensor) -> TransportResult:
        """`cost` `(..., J, L)`, marginals `a` `(..., J)` and `b` `(..., L)`.

        Raises:
            ValueError: as for `ConditionalTransport`.
            RuntimeError: POT found no optimal plan.
        """
        problem = Problem.of(cost, a, b)
        cost, rows, columns = (values.detach().double().cpu() for values in problem[:3])
        mass = torch.ones(())
        if not self.vouched:
            finite_range("cost", problem.cost)
            mass = problem.total_mass().cpu()[..., None, None]
            # The simplex compares with fixed thresholds.
            cost, span = from_zero(cost, no_mass(rows, columns))
            cost = cost / span.masked_fill(span == 0, 1)
        flat = (x.reshape(-1, *x.shape[cost.ndim - 2 :]) for x in (cost, rows, columns))
        plans = [_simplex(*one) for one in zip(*flat, strict=True)]
        plan = torch.stack(plans).view(cost.shape) * mass
        return TransportResult(problem.cost, plan.to(problem.cost))


def _simplex(cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
    import ot

    # POT wants the masses to agree to more digits than float32 sums have.
    plan, log = ot.emd(a / a.sum(), b / b.sum(), cost, SIMPLEX_ITERATIONS, log=True)
    if log["warning"] and cost.isfinite().all():
        raise RuntimeError(
            f"no exact plan for a cost of shape {tuple(cost.shape)}: {log['warning']}"
        )
    return plan
