"""CLIP's modules under OpenAI's parameter names, so that such state dicts load as they are.

Nothing here knows about prompts: `encoders` walks these modules and inserts them.
Architecture: Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", ICML 2021. Axes: `S` sequences, `L` tokens, `w` width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .additions import NOTHING, AtBlock
from .architecture import Tower
from .frozen_mlp import MLP
from .low_rank import updated_linear


class LayerNorm(nn.LayerNorm):
    """Layer norm in float32 at least, returned in the input's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        return super().forward(wide).to(x.dtype)


class Attention(nn.Module):
    """The parameters of `nn.MultiheadAttention`; `Block` runs it, and calls no module in it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)


class Block(nn.Module):
    """Pre-norm transformer block: `x += attn(ln_1(x)); x += mlp(ln_2(x))`."""

    def __init__(self, width: int, hidden: int, tower: Tower):
        super().__init__()
        self.attn = Attention(width, width // tower.head_width)
        self.ln_1, self.ln_2 = LayerNorm(width, tower.eps), LayerNorm(width, tower.eps)
        self.mlp = MLP(width, hidden, tower.activation)

    def forward(
        self,
        x: Tensor,
        causal: bool = False,
        opened: Tensor | None = None,
        added: AtBlock = NOTHING,
    ) -> Tensor:
        """`(S, L, w)` to `(S, L, w)`. `opened`: `open(x, added)`, if it is known already."""
        mixed = attend(self.open(x, added) if opened is None else opened, causal)
        return self.close(x, mixed, added)

    def open(self, x: Tensor, added: AtBlock = NOTHING) -> Tensor:
        """Queries, keys and values of tokens `(..., w)`, `(..., 3, heads, head width)`."""
        attn = self.attn
        qkv = updated_linear(self.ln_1(x), attn.in_proj_weight, attn.in_proj_bias, added.qkv)
        return qkv.unflatten(-1, (3, attn.heads, -1))

    def close(self, x: Tensor, mixed: Tensor, added: AtBlock = NOTHING) -> Tensor:
        """The block's output for tokens `x` `(..., w)` whose attention gave `mixed`, likewise."""
        out_proj = self.attn.out_proj
        between = x + updated_linear(mixed, out_proj.weight, out_proj.bias, added.out)
        out = between + self.mlp(self.ln_2(between))
        if added.beside is None:
            return out
        # The norm is made twice: kept from `open`, it would tie the two for a hundredth of a block.
        return out + added.beside(self.ln_1(x)).to(out.dtype)


def attend(qkv: Tensor, causal: bool) -> Tensor:
    """Self-attention: `(S, L, 3, heads, head width)` to `(S, L, w)`."""
    # Unbound before transposed: the gradient is then put together in the layout of `qkv`.
    q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # (S, heads, L, head width)
    return merge_heads(F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def merge_heads(mixed: Tensor) -> Tensor:
    """`(S, heads, L, head width)` to `(S, L, w)`."""
    return mixed.transpose(1, 2).flatten(2)


class Transformer(nn.Module):
    """Blocks of one width.

    Args:
        hidden: width of their MLPs.
        tower: what runs them.
    """

    def __init__(self, width: int, hidden: int, layers: int, tower: Tower):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, hidden, tower) for _ in range(layers))

    def __iter__(self) -> Iterator[Block]:
        return iter(cast(Iterable[Block], self.resblocks))

    @property
    def last(self) -> nn.Module:
        return self.resblocks[-1]


class VisionTransformer(nn.Module):
    """The parameters of CLIP's ViT; `encoders.encode_image` runs it."""

    def __init__(
        self,
        resolution: int,
        patch: int,
        width: int,
        hidden: int,
        layers: int,
        embed: int,
        tower: Tower,
    ):
        super().__init__()
        self.resolution, self.width = resolution, width
        self.tokens = (resolution // patch) ** 2
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(self.tokens + 1, width))
        self.ln_pre = LayerNorm(width, tower.eps)
        self.transformer = Transformer(width, hidden, layers, tower)
        self.ln_post = LayerNorm(width, tower.eps)
        self.proj = nn.Parameter(torch.empty(width, embed))


class Bottleneck(nn.Module):
    """CLIP's anti-aliased bottleneck: an average pool stands in for every stride."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int):
        super().__init__()
        outputs = planes * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                OrderedDict(
                    [
                        ("-1", nn.AvgPool2d(stride)),
                        ("0", nn.Conv2d(inputs, outputs, 1, bias=False)),
                        ("1", nn.BatchNorm2d(outputs)),
                    ]
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(self.avgpool(out)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """Attention pooling with every token as a query (the published copies of CLIP do this).

    `(B, C, h, w)` to `(B, 1 + h * w, d)`: token 0 is CLIP's pooled feature, the others are the
    local features in row-major order.
    """

    def __init__(self, grid: int, width: int, heads: int, embed: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.empty(grid**2 + 1, width))
        self.k_proj, self.q_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.c_proj = nn.Linear(width, width), nn.Linear(width, embed)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)  # (B, h * w, C)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.positional_embedding.to(x.dtype)
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.c_proj(mixed.transpose(1, 2).flatten(2))


class ModifiedResNet(nn.Module):
    """CLIP's ResNet: three-convolution stem, anti-aliased strides, attention pool."""

    def __init__(
        self, resolution: int, width: int, layers: tuple[int, ...], embed: int, head_width: int
    ):
        super().__init__()
        self.resolution, self.width = resolution, width
        self.tokens = (resolution // 32) ** 2
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        inputs = width
        for i, depth in enumerate(layers):
            planes = width * 2**i
            blocks = [Bottleneck(inputs, planes, stride=1 if i == 0 else 2)]
            inputs = planes * Bottleneck.expansion
            blocks += [Bottleneck(inputs, planes, stride=1) for _ in range(depth - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.attnpool = AttentionPool(resolution // 32, inputs, inputs // head_width, embed)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, H, W)` to pooled and local features, `(B, 1 + tokens, d)`."""
        for i in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        x = F.avg_pool2d(x, 2)
        for i in (1, 2, 3, 4):
            x = getattr(self, f"layer{i}")(x)
        return self.attnpool(x)
