"""Bad arguments of the public calls, each refused by name.

To look at values stalls an accelerator, so it is left out for callers who vouch for them.

Axes: `...` problems, `J` rows, `L` columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# By how much the masses of both sides may differ, relative to the larger: rounding in float32.
MASS_TOLERANCE = 1e-5
# Vectors normalised in half precision have norms up to this.
LARGEST_NORM = 1.01


class Problem(NamedTuple):
    """Attributes:
    cost: `(..., J, L)`, float32 or float64.
    a: `(..., J)` and b: `(..., L)`, marginals in the cost's dtype; zero marks padding.
    rounding: by how much the masses of both may differ, relative to the larger.
    """

    cost: Tensor
    a: Tensor
    b: Tensor
    rounding: float

    @classmethod
    def of(cls, cost: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Problem:
        """Convert and expand; a marginal that is None is uniform. Looks at no value.

        Raises:
            ValueError: no real tensors, an empty cost, marginals that do not fit it.
        """
        _real("cost", cost)
        if cost.ndim < 2 or cost.numel() == 0:
            raise ValueError(
                f"cost of shape {tuple(cost.shape)} must be (..., J, L) with at least one problem, "
                "row and column"
            )
        cost = cost if cost.dtype == torch.float64 else cost.float()
        rows, columns = _marginal("a", a, cost, -2), _marginal("b", b, cost, -1)
        given = [m.dtype for m in (a, b) if m is not None and m.is_floating_point()]
        rounding = max([MASS_TOLERANCE, *(2 * torch.finfo(dtype).eps for dtype in given)])
        return cls(cost, rows, columns, rounding)

    def total_mass(self) -> Tensor:
        """The mass of each problem, `(...)` float64; exactly 1 where it is 1 up to rounding.

        Raises:
            ValueError: masses that are negative or not finite, or not both equal and positive.
        """
        a, b = _masses("a", self.a), _masses("b", self.b)
        larger = torch.maximum(a, b)
        bad = ~((torch.minimum(a, b) > 0) & ((a - b).abs() <= self.rounding * larger))
        if bad.any():
            where = _first(bad)
            place = f" in problem {where}" if where else ""
            raise ValueError(
                f"a sums to {a[tuple(where)].item():.8g} and b to {b[tuple(where)].item():.8g}"
                f"{place}: both must have the same positive mass"
            )
        return larger.masked_fill((larger - 1).abs() <= 2 * self.rounding, 1)


def finite_range(name: str, values: Tensor) -> tuple[float, float]:
    """The smallest and the largest value.

    Raises:
        ValueError: a NaN or Inf among them.
    """
    low, high = torch.stack(torch.aminmax(values.detach())).tolist()
    if not (math.isfinite(low) and math.isfinite(high)):
        where = _first(~values.isfinite())
        raise ValueError(f"{name} has {values[tuple(where)].item()} at {where}: it must be finite")
    return low, high


def unit_masses(name: str, marginal: Tensor) -> None:
    """Refuse masses that are negative or not finite, or do not sum to 1 along the last axis.

    Raises:
        ValueError: for the first such marginal.
    """
    sums = _masses(name, marginal)
    bad = ~((sums - 1).abs() <= MASS_TOLERANCE)
    if bad.any():
        where = _first(bad)
        raise ValueError(f"{name} sums to {sums[tuple(where)].item():.8g} at {where}: it must be 1")


def unit_vectors(name: str, vectors: Tensor, present: Tensor | None = None) -> None:
    """Refuse what has a NaN or Inf, or vectors along the last axis that are longer than 1.

    Args:
        present: which vectors count; all by default.

    Raises:
        ValueError: for the first such vector.
    """
    norms = torch.linalg.vector_norm(vectors.detach(), dim=-1)
    bad = ~(norms <= LARGEST_NORM)
    bad = bad if present is None else bad & present
    if bad.any():
        where = _first(bad)
        raise ValueError(
            f"{name} must be finite and L2-normalised: the vector at {where} has norm "
            f"{norms[tuple(where)].item():g}"
        )


def features(side: str, pooled: Tensor, tokens: Tensor | None, mask: Tensor | None) -> None:
    """Refuse features that are no finite unit vectors, and modes without a token.

    Args:
        side: the argument that they are the fields of.
        pooled: `(X, M, d)`, tokens: `(X, M, J, d)`, mask: `(X, M, J)`, as in `Features`.

    Raises:
        ValueError: for the first of them.
    """
    if pooled.ndim != 3 or pooled.numel() == 0:
        raise ValueError(
            f"{side}.pooled of shape {tuple(pooled.shape)} must be (X, M, d), none of them 0"
        )
    unit_vectors(f"{side}.pooled", pooled)
    if tokens is None:
        return
    if tokens.ndim != 4 or (*tokens.shape[:2], tokens.shape[3]) != pooled.shape:
        raise ValueError(
            f"{side}.tokens of shape {tuple(tokens.shape)} must be (X, M, J, d), with X, M and d "
            f"of {side}.pooled {tuple(pooled.shape)}"
        )
    if mask is not None and (mask.shape != tokens.shape[:3] or mask.dtype != torch.bool):
        raise ValueError(
            f"{side}.mask must be bool of shape {tuple(tokens.shape[:3])}, not {mask.dtype} of "
            f"shape {tuple(mask.shape)}"
        )
    present = tokens.new_ones(tokens.shape[:3], dtype=torch.bool) if mask is None else mask
    if not present.any(-1).all():
        raise ValueError(f"{side} has no token in the mode at {_first(~present.any(-1))}")
    unit_vectors(f"{side}.tokens", tokens, mask)


def _masses(name: str, marginal: Tensor) -> Tensor:
    """Sums along the last axis, float64, of masses that must be finite and not negative."""
    low, _ = finite_range(name, marginal)
    if low < 0:
        where = _first(marginal < 0)
        raise ValueError(
            f"{name} has {marginal[tuple(where)].item():g} at {where}: masses are not negative"
        )
    return marginal.detach().sum(-1, dtype=torch.float64)


def _first(bad: Tensor) -> list[int]:
    return bad.nonzero()[0].tolist()


def _real(name: str, values: Tensor) -> None:
    if not isinstance(values, Tensor) or values.is_complex():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"{name} must be a tensor of real numbers, not {kind}")


def _marginal(name: str, given: Tensor | None, cost: Tensor, axis: int) -> Tensor:
    shape = (*cost.shape[:-2], cost.shape[axis])
    if given is None:
        return cost.new_full(shape, 1 / shape[-1])
    _real(name, given)
    try:
        return given.to(cost.dtype).expand(shape)
    except RuntimeError:
        raise ValueError(
            f"marginal {name} of shape {tuple(given.shape)} does not fit the cost of shape "
            f"{tuple(cost.shape)}: it needs {shape}"
        ) from None
