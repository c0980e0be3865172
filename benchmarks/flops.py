"""The floating-point operations that a step cannot avoid, by counting its matrix products.

Counted once each: what is the same for many rows (patches, the words before the class names) is
counted for as many rows as differ, padding not at all. Backward passes count the products that
carry a gradient to a prompt: one for a linear layer, whose weights are frozen, and two for either
product of attention, but none with what is the same whatever the prompts are. Recomputation is not
counted, nor whatever is linear in the activations (softmax, norms, Sinkhorn's products of a matrix
and a vector).
"""

from __future__ import annotations

import torch
from measure import seconds
from multimode_ot.backbone.class_tokens import tokenize
from multimode_ot.backbone.linear import affine
from multimode_ot.methods.base import PromptedCLIP
from torch import Tensor


def step_flops(model: PromptedCLIP, batch: int, training: bool) -> dict[str, float]:
    """Operations of one step by part: `image`, `text`, `transport`.

    Args:
        model: ALIGN with a ViT and the paper's head.
        batch: images `B`.
        training: forward and backward; otherwise one forward pass with given class features.
    """
    passes = 2 if training else 1
    prefixes, tails = text_lengths(model)  # (N,), (K,)
    own = float(tails.sum() * len(prefixes) + prefixes.sum())
    pairs = float((tails[:, None] * (prefixes + (tails[:, None] + 1) / 2)).sum())
    width, joint = model.clip.text_width, model.clip.embed_width
    text = model.clip.text_layers * _block(own, width, pairs, passes) + passes * _linear(
        own, width, joint
    )

    visual, settings = model.clip.visual, model.cfg
    rows = batch * settings.VISION_PROMPT_NUMBER
    locals_ = visual.tokens + settings.N_CTX  # J
    lengths = (prefixes + tails[:, None] - 3).sum()  # without SOS, ".", EOS
    cells = float(rows * locals_ * lengths)  # of all token-level costs
    transport = _linear(cells, joint, 1)
    return {
        "image": _image(visual, batch, rows, locals_ + 1, joint, passes),
        "text": text if training else 0.0,
        "transport": (2 * passes - 1) * transport,  # backward, one product for either side
    }


def _image(visual, batch: int, rows: int, tokens: int, joint: int, passes: int) -> float:
    width, stock = visual.width, visual.tokens + 1
    pairs = rows * tokens**2
    total = len(visual.transformer.resblocks) * _block(rows * tokens, width, pairs, passes)
    total += passes * _linear(rows * tokens, width, joint)
    # In the first block, queries, keys and values of the stock tokens are the same for all modes,
    # and no gradient goes further than them, or to them.
    total -= passes * _linear(rows * stock, width, 3 * width)
    total += _linear(batch * stock, width, 3 * width)
    total -= (passes - 1) * _attention(2 * rows * stock**2, width)
    return total + _linear(batch * visual.tokens, visual.conv1.weight[0].numel(), width)


def text_lengths(model: PromptedCLIP) -> tuple[Tensor, Tensor]:
    """Tokens before the class name, `(N,)`, and from there to the EOS, `(K,)`."""
    tails = [g.length for g in model.classes.groups for _ in range(g.classes)]
    return tokenize(model.prompt_learner.prefixes).argmax(-1), torch.tensor(tails)


def _linear(rows: float, inputs: int, outputs: int) -> float:
    return 2.0 * rows * inputs * outputs


def _block(tokens: float, width: int, pairs: float, passes: int) -> float:
    """A transformer block: 12 w^2 weights, and attention, whose products have two factors."""
    return passes * _linear(tokens, width, 12 * width) + (2 * passes - 1) * _attention(pairs, width)


def _attention(pairs: float, width: int) -> float:
    """Two products of width w for each attending pair of tokens."""
    return 4.0 * pairs * width


def matmul_rate(dtype: torch.dtype = torch.float32, onednn: bool = False) -> float:
    """Operations per second of matrix products of the image tower's size, sustained for a while.

    By `torch.mm`, or through oneDNN as `multimode_ot.backbone.linear` does where that is faster.
    """
    rows, width, repeats = 3184, 768, 20
    left, right = torch.randn(rows, width, dtype=dtype), torch.randn(width, 4 * width, dtype=dtype)
    out, bias = torch.empty(rows, 4 * width, dtype=dtype), torch.zeros(4 * width, dtype=dtype)

    def product() -> None:
        if onednn:
            affine(left, weight, bias)
        else:
            torch.mm(left, right, out=out)

    weight = right.T.contiguous()
    product()
    elapsed = seconds(lambda: [product() for _ in range(repeats)])
    return repeats * _linear(rows, width, 4 * width) / elapsed
