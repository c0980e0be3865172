"""Attention of heads of any width: the fused kernel, and the packed one, beside plain sums."""

import pytest
import torch
from multimode_ot.backbone.layers import attend
from random_clip import random_clip
from slow_in_blocks import attention
from slow_methods import to_double
from slow_reference import Reference


def plainly(qkv, causal):
    rows = []
    for sequence in qkv:  # (L, 3, heads, head width)
        heads = []
        for q, k, v in sequence.permute(2, 1, 0, 3):
            scores = q @ k.T / q.shape[-1] ** 0.5
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).tril() == 0, -torch.inf)
            heads.append(scores.softmax(-1) @ v)
        rows.append(torch.cat(heads, -1))
    return torch.stack(rows)


@pytest.mark.parametrize("width", [64, 80, 88, 104])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_attention_is_plain_attention(width, causal, dtype):
    torch.manual_seed(0)
    qkv = torch.randn(2, 9, 3, 2, width, dtype=dtype, requires_grad=True)
    wanted, found = plainly(qkv, causal), attend(qkv, causal)
    pull = torch.randn_like(wanted)
    gradients = [torch.autograd.grad((out * pull).sum(), qkv)[0] for out in (wanted, found)]
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)
    torch.testing.assert_close(gradients[1], gradients[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-exact", "tiny-mixed"])
@pytest.mark.parametrize("side", ["image", "text"])
def test_a_block_is_its_formula_head_by_head(shape, side):
    clip, slow = to_double(random_clip(shape)), to_double(Reference(shape).clip)
    towers = (clip.visual, slow.visual) if side == "image" else (clip, slow)
    ours, theirs = (tower.transformer.resblocks[1] for tower in towers)
    torch.manual_seed(0)
    x = torch.randn(7, ours.ln_1.weight.shape[0], dtype=torch.float64)
    between = x + attention(theirs.attn, theirs.ln_1(x), side == "text")
    wanted = between + theirs.mlp(theirs.ln_2(between))
    torch.testing.assert_close(ours(x[None], side == "text")[0], wanted, atol=1e-10, rtol=0)
