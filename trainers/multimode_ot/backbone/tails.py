"""Class names behind shared heads: equally long ones in groups, groups in chunks, their attention.

Axes: as in `packed_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import merge_heads

ALL = slice(None)


class Group(NamedTuple):
    """`classes` classes whose tails have `length` tokens."""

    classes: int
    length: int


def tokens(groups: Sequence[Group]) -> int:
    """Tail tokens of all classes of the groups."""
    return sum(group.classes * group.length for group in groups)


def split_groups(groups: Sequence[Group], most: int) -> list[list[Group]]:
    """Chunks of groups with at most `most` tokens each, but at least one class."""
    chunks: list[list[Group]] = [[]]
    for classes, length in groups:
        while classes:
            fitting = min(classes, (most - tokens(chunks[-1])) // length)
            if fitting > 0 or not chunks[-1]:
                chunks[-1].append(Group(max(fitting, 1), length))
                classes -= max(fitting, 1)
            else:
                chunks.append([])
    return chunks


def pick(x: Sequence[Tensor], groups: Sequence[Group], at: slice) -> Tensor:
    """Some tokens of each tail, `(R, w)`, of the groups' tokens `x`, `(K * N * T, w)` each."""
    parts = zip(x, groups, strict=True)
    return torch.cat([part.unflatten(0, (-1, g.length))[:, at].flatten(0, 1) for part, g in parts])


def attend_behind(head: Tensor, group: Group, qkv: Tensor, mask: Tensor, at: slice) -> Tensor:
    """Attention of equally long tails to their heads and themselves, `(K * N * T, w)`.

    Args:
        head: `(N, P, 2, h, 64)`, keys and values of the heads.
        qkv: `(K * N * T, 3, h, 64)`.
        mask: `(K * N, 1, T, P + T)`, or one for all.
        at: which tokens of a tail attend.
    """
    qkv = qkv.unflatten(0, (group.classes, len(head), group.length))
    head = head.expand(group.classes, *head.shape)
    keys_values = torch.cat([head, qkv[:, :, :, 1:]], 2)  # (K, N, P + T, 2, h, 64)
    k, v = keys_values.flatten(0, 1).permute(2, 0, 3, 1, 4)  # (K * N, h, P + T, 64)
    q = qkv[:, :, at, 0].flatten(0, 1).transpose(1, 2)  # (K * N, h, T, 64)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, :, at])
    return merge_heads(mixed).flatten(0, 1)
