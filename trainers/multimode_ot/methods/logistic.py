"""Multinomial logistic regression, solved to the optimum.

Axes: `N` images, `K` classes, `d` width, `r` rank of the features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEAR = 1e-7  # of the gradient's norm to that of the weights, at which they are optimal
ROUNDS, LOOKS, STEPS = 30, 4, 25  # each round scales the axes anew
POLISH = 1e-4  # where values no longer tell steps apart, and gradients alone are gone by


@dataclass(frozen=True)
class Solution:
    """Weights and bias, in float64.

    Attributes:
        weight: `W`, `(K, d)`.
        bias: `b`, `(K,)`.
        gradient: the objective's gradient's norm, as a share of the weights'.
    """

    weight: Tensor
    bias: Tensor
    gradient: float

    @property
    def remark(self) -> str:
        """How near the optimum it is: the penalty makes the weights' error as small as that."""
        return f"the gradient's norm is {self.gradient:.1e} of the weights'"

    def __call__(self, features: Tensor) -> Tensor:
        """Logits of features `(B, d)`, `(B, K)`."""
        return features.double() @ self.weight.T + self.bias


class LogisticRegression:
    """`min_{W, b} C sum_i CE(W f_i + b, y_i) + |W|^2 / 2` for any `C`, in float64.

    The bias is not penalised. The problem is solved in the features' principal axes (centred, which
    moves the bias alone), scaled by about its curvature: L-BFGS takes many steps otherwise, as
    features have a large mean and few large axes.

    Args:
        features: `(N, d)`.
        labels: `(N,)`, below `classes`.
        classes: `K`.
    """

    def __init__(self, features: Tensor, labels: Tensor, classes: int):
        features = features.double()
        self.mean = features.mean(0)
        u, sizes, self.axes = torch.linalg.svd(features - self.mean, full_matrices=False)
        self.coordinates, self.sizes = u * sizes, sizes  # (N, r), (r,)
        self.labels, self.hot = labels, torch.eye(classes).to(features)[labels]
        self.weight = features.new_zeros(classes, len(sizes))  # of the last solution: the next's
        self.bias = features.new_zeros(classes)  # start

    def gradient(self, strength: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The objective at the current weights, its gradient, and the chances `(N, K)`."""
        logs = torch.log_softmax(self.coordinates @ self.weight.T + self.bias, 1)
        value = 0.5 * self.weight.square().sum() - strength * (logs * self.hot).sum()
        chances = logs.exp()
        residual = strength * (chances - self.hot)
        return value, residual.T @ self.coordinates + self.weight, residual.sum(0), chances

    def error(self, strength: float) -> float:
        """The gradient's norm as a share of the weights'."""
        _, slope, tilt, _ = self.gradient(strength)
        size = torch.cat([slope.flatten(), tilt]).norm()
        return (size / self.weight.norm().clamp(min=1e-300)).item()

    def solve(self, strength: float) -> Solution:
        """The optimum of `C = strength`."""
        error, failed = self.error(strength), False
        for _ in range(ROUNDS):
            if error <= NEAR:
                break
            before, polish = (self.weight, self.bias), error < POLISH and not failed
            self._descend(strength, polish)
            found = self.error(strength)
            failed = polish and not found < error
            if failed:
                self.weight, self.bias = before
            else:
                error = found
        weight = self.weight @ self.axes
        return Solution(weight, self.bias - weight @ self.mean, error)

    def _descend(self, strength: float, polish: bool) -> None:
        """A round of L-BFGS, with axes and bias scaled by the square root of their curvature."""
        chances = self.gradient(strength)[3]
        curvature = strength * (chances * (1 - chances)).mean()
        scale = (1 + curvature * self.sizes.square()).rsqrt()
        unit = (curvature * len(self.labels)).clamp(min=1e-12).rsqrt()
        free = [torch.nn.Parameter(self.weight / scale), torch.nn.Parameter(self.bias / unit)]
        solver = torch.optim.LBFGS(
            free,
            max_iter=STEPS,
            history_size=20,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn=None if polish else "strong_wolfe",
        )

        @torch.no_grad()
        def closure() -> Tensor:
            self.weight, self.bias = free[0] * scale, free[1] * unit
            value, slope, tilt, _ = self.gradient(strength)
            free[0].grad, free[1].grad = slope * scale, tilt * unit
            return value

        for _ in range(LOOKS):
            solver.step(closure)
            closure()
            if self.error(strength) <= NEAR:
                return
