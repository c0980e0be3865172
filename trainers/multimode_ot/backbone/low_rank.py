"""Low-rank updates of frozen projections, kept apart from the weights that they update.

E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022 (arXiv 2106.09685).

Axes: `R` rows, `i` inputs, `o` outputs of a part, `P` updated parts, `r` rank.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .linear import linear, pull_back

LEVELS = 2**16  # what the share of dropped inputs is rounded to


class LowRank(NamedTuple):
    """`scale up_p down_p drop_p(x)` is added to some parts of a projection of `x`.

    Attributes:
        parts: which of the projection's equal parts; of queries, keys and values 0, 1, 2.
        down: `(P, r, i)`.
        up: `(P, o, r)`.
        scale: a constant.
        dropout: the share of the update's inputs that is dropped, for each part anew; 0 outside
            training.
    """

    parts: tuple[int, ...]
    down: Tensor
    up: Tensor
    scale: float = 1.0
    dropout: float = 0.0


def updated_linear(x: Tensor, weight: Tensor, bias: Tensor, update: LowRank | None) -> Tensor:
    """`x weight^T + bias` with an update of the frozen weight: `(..., i)` to `(..., outputs)`."""
    if update is None:
        return linear(x, weight, bias)
    rows, scale, kept = x.flatten(0, -2), update.scale, None
    if update.dropout:
        kept, share = draw_kept((len(update.parts), *rows.shape), update.dropout, x.device)
        scale /= share
    out = _UpdatedLinear.apply(
        rows, weight, bias, update.down, scale * update.up, kept, update.parts
    )
    return out.view(*x.shape[:-1], -1)


def draw_kept(shape: tuple[int, ...], dropout: float, device: torch.device) -> tuple[Tensor, float]:
    """Which entries are kept, and the share that is, on average.

    A processor draws 64 random bits in the time of one number, so four entries share them.
    """
    count, dropped = torch.Size(shape).numel(), min(round(dropout * LEVELS), LEVELS - 1)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device).random_(-(2**63), None)
    numbers = bits.view(torch.int16)[:count].view(shape)
    return numbers >= dropped - LEVELS // 2, 1 - dropped / LEVELS


class _UpdatedLinear(torch.autograd.Function):
    """One node for the frozen product and all its updates, which never are matrices of full rank:
    their products of `r` inner terms are added into the output where it stands."""

    @staticmethod
    def forward(ctx, x, weight, bias, down, up, kept, parts):
        out = linear(x, weight, bias)
        low, high = down.to(out.dtype), up.to(out.dtype)
        with torch.autocast(x.device.type, enabled=False):
            seen = _seen(x.to(out.dtype), kept, len(parts))
            hidden = seen @ low.mT  # (P, R, r)
            for part, h, b in zip(_parts(out, up, parts), hidden, high, strict=True):
                part.addmm_(h, b.T)
        ctx.save_for_backward(x, weight, low, high, kept, hidden)
        ctx.parts = parts
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight, down, up, kept, hidden = ctx.saved_tensors
        seen = _seen(x.to(grad.dtype), kept, len(down))
        grad_x = pull_back(grad, weight) if ctx.needs_input_grad[0] else None
        grad_down, grad_up = torch.empty_like(down), torch.empty_like(up)
        for p, part in enumerate(_parts(grad, up, ctx.parts)):
            torch.mm(part.T, hidden[p], out=grad_up[p])
            back = part @ up[p]  # (R, r)
            torch.mm(back.T, seen[p], out=grad_down[p])
            if grad_x is not None and kept is None:
                grad_x.addmm_(back, down[p])
            elif grad_x is not None:
                grad_x.addcmul_(back @ down[p], kept[p].to(grad.dtype))
        return grad_x, None, None, grad_down, grad_up, None, None


def _seen(x: Tensor, kept: Tensor | None, parts: int) -> Tensor:
    """The inputs of each part's update, `(P, R, i)`."""
    return x.expand(parts, -1, -1) if kept is None else x * kept


def _parts(out: Tensor, up: Tensor, parts: tuple[int, ...]) -> list[Tensor]:
    """The columns `(R, o)` of the updated parts."""
    columns = out.split(up.shape[1], 1)
    return [columns[part] for part in parts]
