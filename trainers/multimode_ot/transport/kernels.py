"""What Sinkhorn's iterations need of a batch of costs, as numbers or as logarithms.

Axes: `...` problems, `J` rows, `L` columns. `empty` marks entries of zero mass; None: there are
none.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Kernel(Protocol):
    """`exp(-C / epsilon)` of costs `(..., J, L)`; scalings are `u` `(..., J)`, `v` `(..., L)`.

    Where nothing is differentiated, `update` may overwrite the product and `plan` the kernel, and
    `times` may write into the memory it is given: new memory costs more than the arithmetic.
    """

    values: Tensor

    def __init__(self, values: Tensor): ...

    def start(self, like: Tensor, empty: Tensor | None) -> Tensor: ...

    def times(self, v: Tensor, into: Tensor | None = None) -> Tensor: ...

    def times_transposed(self, u: Tensor) -> Tensor: ...

    def update(self, marginal: Tensor, product: Tensor, empty: Tensor | None) -> Tensor: ...

    def violation(self, a: Tensor, u: Tensor, product: Tensor) -> Tensor:
        """`sum_j |u_j product_j - a_j|`, `(...)`."""
        ...

    def scaling(self, u: Tensor) -> Tensor: ...

    def plan(self, u: Tensor, v: Tensor) -> Tensor: ...


class PlainKernel:
    """`values = exp(-C / epsilon)`; scalings are plain numbers."""

    def __init__(self, values: Tensor):
        self.values = values
        self.residual: Tensor | None = None

    @classmethod
    def of(cls, cost: Tensor, epsilon: float, overwrite: bool = False) -> PlainKernel:
        return cls(_quotient(cost, -epsilon, overwrite).exp_())

    def start(self, like: Tensor, empty: Tensor | None) -> Tensor:
        # Padding must be without mass from the first product on, or its length would be felt.
        ones = torch.ones_like(like, memory_format=torch.contiguous_format)
        return ones if empty is None else ones.masked_fill(empty, 0)

    # Products of a row vector and a matrix: (K * v).sum(-1) would write a temporary of K's size,
    # and a matrix and a column vector take twice as long.

    def times(self, v: Tensor, into: Tensor | None = None) -> Tensor:
        out = None if into is None or torch.is_grad_enabled() else into.unsqueeze(-2)
        return torch.matmul(v.unsqueeze(-2), self.values.mT, out=out).squeeze(-2)

    def times_transposed(self, u: Tensor) -> Tensor:
        return (u.unsqueeze(-2) @ self.values).squeeze(-2)

    def update(self, marginal: Tensor, product: Tensor, empty: Tensor | None) -> Tensor:
        if torch.is_grad_enabled():
            return marginal / (product if empty is None else product.masked_fill(empty, 1))
        product = product if empty is None else product.masked_fill_(empty, 1)
        return torch.div(marginal, product, out=product)

    def violation(self, a: Tensor, u: Tensor, product: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return (a - u * product).abs().sum(-1)
        if self.residual is None:
            self.residual = torch.empty_like(product)
        return torch.addcmul(a, u, product, value=-1, out=self.residual).abs_().sum(-1)

    def scaling(self, u: Tensor) -> Tensor:
        return u

    def plan(self, u: Tensor, v: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.values * u.unsqueeze(-1) * v.unsqueeze(-2)
        return self.values.mul_(u.unsqueeze(-1)).mul_(v.unsqueeze(-2))


class LogKernel:
    """`values = -C / epsilon`; scalings are logarithms. Slower, but underflows for no epsilon."""

    def __init__(self, values: Tensor):
        self.values = values

    @classmethod
    def of(cls, cost: Tensor, epsilon: float | Tensor, overwrite: bool = False) -> LogKernel:
        return cls(_quotient(cost, -epsilon, overwrite))

    def start(self, like: Tensor, empty: Tensor | None) -> Tensor:
        zeros = torch.zeros_like(like, memory_format=torch.contiguous_format)
        return zeros if empty is None else zeros.masked_fill(empty, -torch.inf)

    def times(self, v: Tensor, into: Tensor | None = None) -> Tensor:
        return torch.logsumexp(self.values + v.unsqueeze(-2), -1)

    def times_transposed(self, u: Tensor) -> Tensor:
        return torch.logsumexp(self.values + u.unsqueeze(-1), -2)

    def update(self, marginal: Tensor, product: Tensor, empty: Tensor | None) -> Tensor:
        return marginal.log() - (product if empty is None else product.masked_fill(empty, 0))

    def violation(self, a: Tensor, u: Tensor, product: Tensor) -> Tensor:
        return ((u + product).exp() - a).abs().sum(-1)

    def scaling(self, u: Tensor) -> Tensor:
        return u.exp()

    def plan(self, u: Tensor, v: Tensor) -> Tensor:
        return (self.values + u.unsqueeze(-1) + v.unsqueeze(-2)).exp()


def _quotient(cost: Tensor, divisor: float | Tensor, overwrite: bool) -> Tensor:
    """`C / divisor`, `(..., J, L)`; the longer axis contiguous, for fast products with vectors."""
    tall = cost.shape[-2] > cost.shape[-1]
    wide = cost.mT if tall else cost
    overwrite = overwrite or not wide.is_contiguous()
    wide = wide.contiguous()
    quotient = wide.div_(divisor) if overwrite else wide / divisor
    return quotient.mT if tall else quotient
