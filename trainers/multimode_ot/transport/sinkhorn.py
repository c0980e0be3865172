"""Batched Sinkhorn for problems of one padded size.

Axes: `...` problems, `J` rows, `L` columns. A row or column of zero mass is padding: it gets
exactly zero mass and zero gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from .checks import Problem
from .forms import Form, find_form
from .kernels import Kernel, LogKernel, PlainKernel

# exp(-cost / epsilon) must stay a normal float32 number, above 1.2e-38 = exp(-87).
LARGEST_KERNEL_EXPONENT = 80
# Above this, logarithms in float32 keep less than four digits behind the point.
LARGEST_FLOAT32_LOGARITHM = 1000


@dataclass(frozen=True)
class SinkhornResult:
    """The solution of `min_T <T, C> - epsilon H(T)` subject to the marginals, for each problem.

    Attributes:
        cost: `(..., J, L)`, attached to the graph.
        plan: `(..., J, L)`, `T`; a constant unless the solver was told to unroll.
        epsilon: the entropic regularisation.
        error: `(...)` row-marginal violation `sum_j |sum_l T_jl - a_j|` per unit of mass.
        iterations: iterations done, one number a group (broadcasts to `(...)`), int64.
        converged: whether a group met its stopping rule, and the costs' precision determines its
            plans, likewise.
    """

    cost: Tensor
    plan: Tensor
    epsilon: float
    error: Tensor
    iterations: Tensor
    converged: Tensor

    @property
    def transport_cost(self) -> Tensor:
        """`<T, C>`, `(...)`. Its gradient with respect to `C` is `T`."""
        return (self.plan * self.cost).sum((-2, -1))

    @property
    def entropy(self) -> Tensor:
        """`H(T) = -sum_jl T_jl (log T_jl - 1)`, `(...)`."""
        return self.plan.sum((-2, -1)) - torch.xlogy(self.plan, self.plan).sum((-2, -1))

    @property
    def entropic_cost(self) -> Tensor:
        """`<T, C> - epsilon H(T)`, `(...)`; its exact gradient is `T` (Danskin's theorem)."""
        return self.transport_cost - self.epsilon * self.entropy


class Scaling(NamedTuple):
    """Row and column scalings `u`, `v` (their logarithms in log form) and how they were found."""

    u: Tensor
    v: Tensor
    error: Tensor
    iterations: Tensor
    converged: Tensor


@dataclass(frozen=True)
class Sinkhorn:
    """Sinkhorn's matrix scaling (Cuturi, "Sinkhorn Distances", NeurIPS 2013).

    Starts from scalings of one and updates the rows, then the columns, so that the columns are
    exact at the end. Computes in float32 at least.

    Costs and masses may have any finite size: by default a call looks at them and chooses the form
    in which it computes. Accuracy is meant per unit of mass and relative to the largest cost. Where
    `(max C - min C) / epsilon` is above 1e5 (float64: 1e12) the costs' own rounding decides the
    plan, and `converged` is False.

    Args:
        epsilon: entropic regularisation.
        max_iterations: iterations at most.
        tolerance: of the stopping rule.
        rule: `marginal` stops when the row-marginal violation `sum_j |sum_l T_jl - a_j|` is at
            most `tolerance` in every problem of the group. `scaling` stops when the mean absolute
            change of the row scaling over the whole group is below it, as the released programs of
            PLOT and ALIGN do.
        groups: axes of the problems that index groups. A group stops as one, independently of the
            others. By default all problems of a call are one group.
        min_iterations: no group stops before; a number, or an integer tensor on the cost's device.
        kernel_if_nan: where a group's plan has a NaN, take the kernel `exp(-C / epsilon)` itself
            for the whole group, as the released program of ALIGN does.
        unrolled: differentiate through the iterations instead of holding the plan constant.
        largest_cost: the caller vouches that costs lie between 0 and this bound (4 for two levels
            of cosine distances) and that marginals sum to 1, so a call looks at no value, and
            stalls no accelerator; what is not so may give NaN. Where `exp(-largest_cost / epsilon)`
            would underflow, the slower logarithmic form is used. None: nobody vouches.

    Raises:
        ValueError: an argument outside its range.
    """

    epsilon: float = 0.1
    max_iterations: int = 100
    tolerance: float = 1e-3
    rule: Literal["marginal", "scaling"] = "marginal"
    groups: tuple[int, ...] = ()
    min_iterations: int | Tensor = 0
    kernel_if_nan: bool = False
    unrolled: bool = False
    largest_cost: float | None = None
    mass: ClassVar[float] = 1.0  # of a plan between marginals of mass 1

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon {self.epsilon} must be positive")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations {self.max_iterations} must be at least 1")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance {self.tolerance} must not be negative")
        if self.rule not in ("marginal", "scaling"):
            raise ValueError(f"rule {self.rule!r} must be 'marginal' or 'scaling'")
        if any(axis < 0 for axis in self.groups):
            raise ValueError(f"groups {self.groups} must count the axes from the front")
        if self.largest_cost is not None and not self.largest_cost > 0:
            raise ValueError(f"largest_cost {self.largest_cost} must be positive")

    def __call__(
        self, cost: Tensor, a: Tensor | None = None, b: Tensor | None = None
    ) -> SinkhornResult:
        """Solve all problems.

        Args:
            cost: `(..., J, L)`.
            a: `(..., J)` row marginals; uniform with mass 1 if left out.
            b: `(..., L)` column marginals likewise, of the same positive mass. Zero marks padding,
                whose costs do not matter.

        Raises:
            ValueError: an empty cost, or marginals whose sizes do not fit it. Where nobody vouches
                also NaN or Inf in any argument, negative masses, and masses that are not equal and
                positive.
        """
        problem = Problem.of(cost, a, b)
        differentiable = self.unrolled and torch.is_grad_enabled()
        with (
            torch.set_grad_enabled(differentiable),
            torch.autocast(problem.cost.device.type, enabled=False),
        ):
            if not self.vouched:
                return self._in_form(problem.cost, find_form(problem, self.epsilon))
            kernel = self.kernel(problem.cost)
            u, v, error, iterations, converged = self.scale(kernel, problem.a, problem.b)
            return self._result(problem.cost, kernel.plan(u, v), error, iterations, converged)

    def _in_form(self, cost: Tensor, form: Form) -> SinkhornResult:
        """Solve in this form, and give the result the cost's dtype and mass."""
        kernel, a, b, mass, determined = form
        u, v, error, iterations, converged = self.scale(kernel, a, b)
        plan = kernel.plan(u, v)
        if isinstance(kernel, LogKernel):
            # Large logarithms that cancel leave an error; what is told must be true of the plan.
            columns = plan.sum(-2)
            plan = plan * (b / columns.masked_fill(columns == 0, 1)).unsqueeze(-2)
            error = (plan.sum(-1) - a).abs().sum(-1)
            sound = (
                determined & (error <= self.tolerance) if self.rule == "marginal" else determined
            )
            converged = converged & ~self._by_group(~sound, "amax")
        plan = plan if mass is None else plan * mass[..., None, None]
        return self._result(cost, plan, error, iterations, converged)

    def _result(self, cost: Tensor, plan: Tensor, error: Tensor, *stop: Tensor) -> SinkhornResult:
        """In the dtype of the cost, whatever the form."""
        return SinkhornResult(cost, plan.to(cost.dtype), self.epsilon, error.to(cost.dtype), *stop)

    @property
    def vouched(self) -> bool:
        """Whether a call looks at no value."""
        return self.largest_cost is not None

    @property
    def in_log_form(self) -> bool:
        """Whether costs up to `largest_cost` need logarithms, which hold any costs."""
        return self._largest_exponent > LARGEST_KERNEL_EXPONENT

    @property
    def _largest_exponent(self) -> float:
        return (math.inf if self.largest_cost is None else self.largest_cost) / self.epsilon

    def kernel(self, cost: Tensor, overwrite: bool = False) -> Kernel:
        """The kernel of a cost `(..., J, L)`, in the form and dtype that costs up to `largest_cost`
        need.

        Args:
            overwrite: the cost is not needed any more, and its memory may be used.
        """
        if self._largest_exponent > LARGEST_FLOAT32_LOGARITHM:
            cost = cost.double()
        form = LogKernel if self.in_log_form else PlainKernel
        return form.of(cost, self.epsilon, overwrite)

    def scale(self, kernel: Kernel, a: Tensor, b: Tensor, start: Scaling | None = None) -> Scaling:
        """Scale a kernel to marginals `a` `(..., J)` and `b` `(..., L)`.

        Args:
            start: an earlier result for the same problems, to go on from until there are
                `min_iterations`.
        """
        a, b = a.to(kernel.values.dtype), b.to(kernel.values.dtype)
        on_host = a.device.type == "cpu"
        no_row, no_column = _empty(a), _empty(b)
        if start is None:
            u, v = kernel.start(a, no_row), kernel.start(b, no_column)
            active = self._by_group(torch.ones_like(a[..., 0], dtype=torch.bool), "amax")
            iterations = torch.zeros_like(active, dtype=torch.long)
        else:
            u, v, violation, iterations, done = start
            active = iterations < self.min_iterations
            if on_host and not active.any():
                return start
        # A host may look whether all groups are done; on an accelerator looking would stall it, so
        # the groups that are done are held still instead, with the same result.
        hold = bool(self.groups) or not on_host
        product = kernel.times(v)
        spare = None
        for _ in range(self.max_iterations):
            old_u, old_v = u, v
            u = kernel.update(a, product, no_row)
            u = _where(active, u, old_u) if hold else u
            v = kernel.update(b, kernel.times_transposed(u), no_column)
            v = _where(active, v, old_v) if hold else v
            product = kernel.times(v, into=spare)
            violation = kernel.violation(a, u, product)
            if self.rule == "marginal":
                done = self._by_group(violation, "amax") <= self.tolerance
            else:
                done = self._change(kernel, u, old_u, no_row) < self.tolerance
            # The scaling before this one was made here, unless it is the start, which is not ours.
            spare = old_u if spare is not None else torch.empty_like(u)
            iterations = iterations + active
            active = active & ~(done & (iterations >= self.min_iterations))
            active = active & (iterations < self.max_iterations)
            if on_host and not active.any():
                break
        if self.kernel_if_nan:
            # A plan is NaN where a scaling is not finite: an infinite one meets a zero.
            bad = self._by_group(~(_sound(u, no_row) & _sound(v, no_column)), "amax")
            u = _where(~bad, u, kernel.start(a, no_row))
            v = _where(~bad, v, kernel.start(b, no_column))
        return Scaling(u, v, violation, iterations, done)

    def _change(self, kernel: Kernel, u: Tensor, old: Tensor, no_row: Tensor | None) -> Tensor:
        """The mean absolute change of the row scaling of each group."""
        change = (kernel.scaling(u) - kernel.scaling(old)).abs().sum(-1)
        rows = torch.full_like(change, u.shape[-1]) if no_row is None else (~no_row).sum(-1)
        return self._by_group(change, "sum") / self._by_group(rows, "sum")

    def _by_group(self, values: Tensor, how: Literal["amax", "sum"]) -> Tensor:
        """Reduce over all axes that index no groups; they stay, with size 1."""
        axes = tuple(i for i in range(values.ndim) if i not in self.groups)
        return getattr(values, how)(axes, keepdim=True) if axes else values


def _empty(marginal: Tensor) -> Tensor | None:
    """Where there is no mass; None if the host sees that there is mass everywhere."""
    empty = marginal == 0
    return empty if empty.device.type != "cpu" or empty.any() else None


def _sound(scaling: Tensor, empty: Tensor | None) -> Tensor:
    finite = scaling.isfinite()
    return (finite if empty is None else finite | empty).all(-1)


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` in the active groups; `active` lacks the last axis of the scalings."""
    return torch.where(active.unsqueeze(-1) if active.ndim else active, new, old)
