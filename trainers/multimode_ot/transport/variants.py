"""Transports other than Sinkhorn's, called like it: `transport(cost, a, b)`.

Axes: `...` problems, `J` rows, `L` columns; zero mass marks padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
    """

    phi: Tensor

    def __call__(self, cost: Tensor, a: Tensor, b: Tensor) -> TransportResult:
        """`cost` `(..., J, L)`, marginals `a` `(..., J)` and `b` `(..., L)`."""
        scores = -cost / self.phi
        rows, columns = a.unsqueeze(-1), b.unsqueeze(-2)
        forward = scores.masked_fill(columns == 0, -torch.inf).softmax(-1)
        backward = scores.masked_fill(rows == 0, -torch.inf).softmax(-2)
        return TransportResult(cost, rows * forward + columns * backward)


@dataclass(frozen=True)
class ExactTransport:
    """The unregularised optimal plan by POT's network simplex, one problem at a time.

    For evaluation only: the plan is piecewise constant, and the solver runs on the host.
    """

    def __call__(self, cost: Tensor, a: Tensor, b: Tensor) -> TransportResult:
        """`cost` `(..., J, L)`, marginals `a` `(..., J)` and `b` `(..., L)`."""
        import ot

        def on_host(values: Tensor, size: int) -> Tensor:
            full = values.detach().expand(*cost.shape[:-2], *values.shape[values.ndim - size :])
            return full.reshape(-1, *full.shape[full.ndim - size :]).double().cpu()

        plans = []
        for c, row, column in zip(on_host(cost, 2), on_host(a, 1), on_host(b, 1), strict=True):
            # POT wants the masses to agree to more digits than float32 sums have.
            plans.append(ot.emd(row / row.sum(), column / column.sum(), c))
        return TransportResult(cost, torch.stack(plans).view(cost.shape).to(cost))
