"""The MLP of a frozen transformer block, with whichever activation its model was trained with.

Axes: `R` rows, `w` width, `h` hidden width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .linear import affine, pull_back


@dataclass(frozen=True)
class Activation:
    """`f(c h) / c` of a hidden layer `h`. Both factors ride on the matrix products, and cancel in
    the gradient.

    Attributes:
        apply: `f` of `(R, h)`; may overwrite it where the second argument says so.
        pull_back: turns the gradient of `f`'s output, the first, into that of its input, in place.
        slope: `c`.
    """

    apply: Callable[[Tensor, bool], Tensor]
    pull_back: Callable[[Tensor, Tensor], object]
    slope: float = 1.0


def _silu_backward(grad: Tensor, hidden: Tensor) -> object:
    return torch.ops.aten.silu_backward.grad_input(grad, hidden, grad_input=grad)


def _gelu(approximate: str) -> Activation:
    def apply(hidden: Tensor, in_place: bool) -> Tensor:
        run = torch.ops.aten.gelu_ if in_place else torch.ops.aten.gelu
        return run(hidden, approximate=approximate)

    def backward(grad: Tensor, hidden: Tensor) -> object:
        return torch.ops.aten.gelu_backward.grad_input(
            grad, hidden, approximate=approximate, grad_input=grad
        )

    return Activation(apply, backward)


ACTIVATIONS = {
    # h sigmoid(1.702 h), which is silu(1.702 h) / 1.702
    "quick_gelu": Activation(
        lambda hidden, in_place: F.silu(hidden, inplace=in_place), _silu_backward, slope=1.702
    ),
    # Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016: h Phi(h), and its approximation
    "gelu": _gelu("none"),
    "gelu_tanh": _gelu("tanh"),
}


class MLP(nn.Module):
    """Two linear layers with an activation between them; frozen.

    Args:
        activation: one of `ACTIVATIONS`.
    """

    def __init__(self, width: int, hidden: int, activation: str):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.c_fc.weight, self.c_fc.bias, self.c_proj.weight, self.c_proj.bias)
        out = _FrozenMLP.apply(ACTIVATIONS[self.activation], x.flatten(0, -2), *weights)
        return out.view(*x.shape[:-1], -1)


class _FrozenMLP(torch.autograd.Function):
    """Of all that is between, only the activation's input is kept for the backward pass."""

    @staticmethod
    def forward(ctx, activation, x, fc_weight, fc_bias, proj_weight, proj_bias):
        if any(ctx.needs_input_grad[2:]):
            raise RuntimeError("CLIP's weights are frozen: this layer gives them no gradient")
        slope = activation.slope
        hidden = affine(x, fc_weight, fc_bias, beta=slope, alpha=slope)
        ctx.activation = activation
        ctx.save_for_backward(hidden, fc_weight, proj_weight)
        active = activation.apply(hidden, not ctx.needs_input_grad[1])
        return affine(active, proj_weight, proj_bias, alpha=1 / slope)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        hidden, fc_weight, proj_weight = ctx.saved_tensors
        grad = pull_back(grad, proj_weight)
        ctx.activation.pull_back(grad, hidden)
        return None, pull_back(grad, fc_weight), None, None, None, None
