"""The names of Hugging Face's CLIP: queries, keys and values apart, projections transposed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..state_dicts import require_tensors
from .shapes import NO_CLIP, count_blocks

# Its names, and OpenAI's.
_OUTSIDE = {
    "logit_scale": "logit_scale",
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # it is called so
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")
_TOWERS = {"text_model": "", "vision_model": "visual."}
_IN_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_BLOCK = re.compile(r"(text_model|vision_model)\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_APART = ("q_proj", "k_proj", "v_proj")
_IGNORED = ("position_ids",)  # 0, 1, 2, ..., which old files have
# What gives another model away.
_STRANGERS = {
    "vision_model.head.": "SigLIP's attentional pooling",
    "vision_model.embeddings.patch_embedding.bias": "SigLIP's patches with a bias",
    "classifier.": "a classifier on an image tower",
    "decoder.": "a decoder, as CLIPSeg has",
}


def is_hugging_face(state: Mapping[str, Any]) -> bool:
    """Whether a state dict has the names of this layout."""
    return any(str(key).startswith(("text_model.", "vision_model.")) for key in state)


def to_openai(state: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    """Tensors under the library's names, as a state dict of OpenAI's layout, dtypes kept.

    Args:
        where: names it in errors.

    Raises:
        ValueError: half a CLIP, or another model.
    """
    try:
        require_tensors(state)
    except ValueError as error:
        raise ValueError(f"{where} {NO_CLIP}: {error}") from None
    _require_clip(state, where)
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith(_IGNORED):
            continue
        if key in _OUTSIDE:
            found[_OUTSIDE[key]] = value.t().contiguous() if key in _TRANSPOSED else value
            continue
        block = _BLOCK.fullmatch(key)
        if block is None or not (block[3] in _IN_BLOCK or _is_apart(block[3])):
            raise ValueError(
                f"{where} {NO_CLIP}: it has {key}, which Hugging Face's CLIP has not: it is "
                "another model"
            )
        before = f"{_TOWERS[block[1]]}transformer.resblocks.{block[2]}."
        if block[3] in _IN_BLOCK:
            found[f"{before}{_IN_BLOCK[block[3]]}.{block[4]}"] = value
    return found | _attention(state, where)


def _require_clip(state: Mapping[str, Tensor], where: str) -> None:
    for begin, what in _STRANGERS.items():
        if any(key.startswith(begin) for key in state):
            raise ValueError(f"{where} {NO_CLIP} that runs here: it has {begin}*, {what}")
    for tower, side in (("text_model", "text"), ("vision_model", "image")):
        if not any(key.startswith(f"{tower}.") for key in state):
            raise ValueError(f"{where} {NO_CLIP}: it has no {side} tower ({tower}.*)")


def _is_apart(part: str) -> bool:
    return part in {f"self_attn.{name}" for name in _APART}


def _attention(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Queries, keys and values of each block, one after the other."""
    found = {}
    for tower, before in _TOWERS.items():
        layers = f"{tower}.encoder.layers."
        for i in range(count_blocks(state, layers)):
            for leaf in ("weight", "bias"):
                keys = [f"{layers}{i}.self_attn.{name}.{leaf}" for name in _APART]
                absent = [key for key in keys if key not in state]
                if absent:
                    raise ValueError(f"{where} {NO_CLIP}: it lacks {absent}")
                parts = [state[key] for key in keys]
                for key, part in zip(keys, parts, strict=True):
                    if not part.is_floating_point():  # joined with others it would become it
                        raise ValueError(f"{where} {NO_CLIP}: {key} is a tensor of {part.dtype}")
                if len({part.shape for part in parts}) > 1:
                    sizes = [tuple(part.shape) for part in parts]
                    raise ValueError(f"{where} {NO_CLIP}: {keys} have different sizes: {sizes}")
                found[f"{before}transformer.resblocks.{i}.attn.in_proj_{leaf}"] = torch.cat(parts)
    return found
