"""Text and image towers that take deep prompts, on stock CLIP weights.

Axes: `S` text sequences, `L` tokens, `B` images, `M` visual prompts (modes), `n` tokens of one
prompt, `w` width of the tower, `d` joint width. A list of prompts holds one tensor a layer:
the first joins the input, the `i`-th replaces the outputs of layer `i - 1` at the same
positions; behind the last one they flow on unchanged (MaPLe, CVPR 2023, equations 1 to 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .additions import UNCHANGED, Additions
from .clip import CLIP
from .layers import ModifiedResNet, attend

# What the backward pass needs of each text token in each layer, in widths.
SAVED_WIDTHS = 12

run_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
"""Call a function now and in the backward pass, which so holds its arguments alone."""


def encode_text(
    clip: CLIP,
    embeddings: Tensor,
    deep_prompts: Sequence[Tensor | None] = (),
    only: Tensor | None = None,
    added: Additions = UNCHANGED,
) -> Tensor:
    """The outputs of text tokens, after the final layer norm.

    Args:
        embeddings: `(S, L, w)` token embeddings, without positional embedding; any `L` up to
            CLIP's context, since the transformer is causal: what follows the EOS is irrelevant.
        deep_prompts: for layers 1, 2, ...: `(S, n, w)`, or `(n, w)` for all sequences, put at
            positions `1..n`; None where what stands there flows on.
        only: `(S,)`, the positions whose outputs are wanted; all by default.
        added: what is trained at the blocks.

    Returns:
        `(S, L, w)`, or `(S, w)` with `only`; multiply with `clip.text_projection` for the joint
        space.
    """
    x = added.to_inputs(embeddings.to(clip.dtype))
    x = x + clip.positional_embedding[: x.shape[1]].to(clip.dtype)
    for i, block in enumerate(clip.transformer):
        prompt = deep_prompts[i - 1] if 1 <= i <= len(deep_prompts) else None
        if prompt is not None:
            prompt = prompt.to(x.dtype).expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], prompt, x[:, 1 + prompt.shape[1] :]], dim=1)
        at = added.at(i)
        if only is not None and block is clip.transformer.last:
            rows = torch.arange(len(x), device=x.device), only
            x = block.close(x[rows], attend(block.open(x, at), causal=True)[rows], at)
        else:
            x = block(x, causal=True, added=at)
    return clip.ln_final(x)


def project_text(clip: CLIP, tokens: Tensor) -> Tensor:
    """`(..., w)` text outputs into the joint space, `(..., d)`."""
    return tokens @ clip.text_projection.to(tokens.dtype)


def encode_text_pooled(
    clip: CLIP,
    embeddings: Tensor,
    eos: Tensor,
    deep_prompts: Sequence[Tensor | None] = (),
    memory: int | None = None,
) -> Tensor:
    """Text features in the joint space, `(S, d)`, not normalised: the outputs at `eos`, `(S,)`.

    Args:
        deep_prompts: with `memory`: `(n, w)` for all sequences.
        memory: bytes that may be held for the backward pass, or in evaluation for a layer. Beyond
            it, sequences are run in chunks, and all chunks but the last are run again in the
            backward pass.

    Otherwise as `encode_text`.
    """
    most = len(embeddings)
    if memory is not None:
        layers = clip.text_layers if torch.is_grad_enabled() else 1
        held = SAVED_WIDTHS * layers * embeddings[0].numel() * clip.dtype.itemsize
        most = max(1, memory // held)
    outputs = []
    for start in range(0, len(embeddings), most):
        rows = slice(start, start + most)
        own = [p[rows] if p is not None and p.ndim == 3 else p for p in deep_prompts]
        run = encode_text if rows.stop >= len(embeddings) else partial(run_again, encode_text)
        outputs.append(run(clip, embeddings[rows], own, eos[rows]))
    return project_text(clip, torch.cat(outputs))


def encode_image(
    clip: CLIP,
    images: Tensor,
    prompts: Sequence[Tensor] = (),
    pooled_only: bool = False,
    added: Additions = UNCHANGED,
) -> Tensor:
    """Image features of every visual mode, in the joint space.

    Args:
        images: `(B, 3, H, W)`, normalised.
        prompts: one `(M, n, w)` a layer; each image is run once for each of the `M` modes, with
            the mode's prompt behind its patches. None: one mode without a prompt. A ResNet takes
            none.
        pooled_only: leave out the local outputs.
        added: what is trained at the blocks of a ViT.

    Returns:
        `(B, M, 1 + J, d)`: token 0 is the pooled output (CLS, or the attention pool's), the others
        are the local outputs: patches, then visual prompts (`(B, M, 1, d)` with `pooled_only`).
    """
    visual = clip.visual
    images = images.to(clip.dtype)
    if isinstance(visual, ModifiedResNet):
        if prompts or added.blocks:
            raise ValueError(f"{clip.name} is a ResNet: it takes no visual prompts, nor additions")
        tokens = visual(images).unsqueeze(1)
        return tokens[:, :, :1] if pooled_only else tokens

    # Under autocast the residual stream keeps the weights' float32, as torch's own modules do.
    patches = visual.conv1(images).to(clip.dtype).flatten(2).transpose(1, 2)  # (B, O, w)
    cls = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    x = torch.cat([cls, patches], 1) + visual.positional_embedding.to(patches.dtype)
    x = added.to_inputs(visual.ln_pre(x))
    modes, stock = (len(prompts[0]) if prompts else 1), x.shape[1]
    first, *others = visual.transformer
    if prompts:
        # Until the first attention the stock tokens are common to all modes, and constants.
        prompt = visual.ln_pre(prompts[0].to(x.dtype))  # (M, n, w)
        opened = _every_pair(first.open(x, added.at(0)), first.open(prompt, added.at(0)))
        x = first(_every_pair(x, prompt), opened=opened, added=added.at(0))
    else:
        x = first(x, added=added.at(0))
    for i, block in enumerate(others, start=1):
        if i < len(prompts):
            x[:, stock:] = prompts[i].to(x.dtype).repeat(len(images), 1, 1)
        if pooled_only and block is visual.transformer.last:
            mixed = attend(block.open(x, added.at(i)), causal=False)
            x = block.close(x[:, :1], mixed[:, :1], added.at(i))
        else:
            x = block(x, added=added.at(i))
    x = visual.ln_post(x[:, :1] if pooled_only else x) @ visual.proj.to(x.dtype)
    return x.unflatten(0, (len(images), modes))


def _every_pair(images: Tensor, prompts: Tensor) -> Tensor:
    """`(B, O, ...)` and `(M, n, ...)` joined to `(B * M, O + n, ...)`, image-major."""
    batch, modes = len(images), len(prompts)
    images = images.unsqueeze(1).expand(-1, modes, *images.shape[1:])
    prompts = prompts.expand(batch, *prompts.shape)
    return torch.cat([images, prompts], 2).flatten(0, 1)


def normalised(x: Tensor) -> Tensor:
    """Unit vectors along the last axis, in float32 at least. A zero vector is NaN, not hidden."""
    x = x if x.dtype == torch.float64 else x.float()
    return x / x.norm(dim=-1, keepdim=True)
