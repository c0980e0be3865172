"""Products with frozen weights, by the library that is fast on the processor.

On an x86 processor torch computes float32 products with MKL, which runs AVX2 kernels where the
maker is not Intel: half of what an AMD processor with AVX-512 can do. torch has oneDNN too, whose
kernels go by what the processor can do, but calls it in float32 for convolutions alone. A product
is a convolution with a kernel of one pixel, over an image whose pixels are the rows; no row is
copied for it. Elsewhere, and in other types, the products are torch's own.

Axes: `R` rows, `i` inputs, `o` outputs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALLEST = 20480  # elements; torch gives no smaller convolution of one image to oneDNN
FEWEST_ROWS = 300  # of a gradient; where both ways were equally fast for CLIP's widths


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x weight^T + bias`: `(..., i)`, `(o, i)`, `(o,)` to `(..., o)`."""
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    if trained or x.ndim < 2 or not onednn_is_faster(x):
        return F.linear(x, weight, bias)
    return _FrozenLinear.apply(x.flatten(0, -2), weight, bias).view(*x.shape[:-1], -1)


def affine(x: Tensor, weight: Tensor, bias: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """`alpha x weight^T + beta bias`: `(R, i)`, `(o, i)`, `(o,)` to `(R, o)`; as `torch.addmm`."""
    if not onednn_is_faster(x):
        return torch.addmm(bias, x, weight.T, beta=beta, alpha=alpha)
    # Of many rows, the weights are the smallest factor.
    return _pixelwise(
        x, weight if alpha == 1 else weight * alpha, bias if beta == 1 else bias * beta
    )


def pull_back(grad: Tensor, weight: Tensor) -> Tensor:
    """The gradient of `x` from that of `x weight^T`: `(R, o)`, `(o, i)` to `(R, i)`."""
    # Under autocast the products ran in another dtype than the weights have.
    weight = weight.to(grad.dtype)
    # The weight is copied into the other order, which few rows are not worth.
    worthwhile = len(grad) >= FEWEST_ROWS and onednn_is_faster(grad)
    return _pixelwise(grad, weight.T) if worthwhile else grad @ weight


def onednn_is_faster(x: Tensor) -> bool:
    """Whether products with `x` go through oneDNN here."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > SMALLEST
        and not torch.is_autocast_enabled("cpu")
        and bool(torch.backends.mkldnn.enabled)
        and torch.get_num_threads() > 1  # with one, torch does not give it to oneDNN either
        and _mkl_is_slow()
    )


@cache
def _mkl_is_slow() -> bool:
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    if not (wide and torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux: the products stay torch's own
        return False


class _FrozenLinear(torch.autograd.Function):
    """A convolution would keep its input for a gradient of the weights, which nobody wants."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(weight)
        return _pixelwise(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return pull_back(grad, *ctx.saved_tensors), None, None


def _pixelwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    pixels = x.view(1, len(x), 1, -1).permute(0, 3, 1, 2)  # (1, i, R, 1), channels last
    out = F.conv2d(pixels, weight[..., None, None], bias)
    return out.permute(0, 2, 3, 1).reshape(len(x), -1)
