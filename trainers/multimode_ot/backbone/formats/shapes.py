"""The sizes of a state dict of OpenAI's layout, as far as it is a CLIP's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..architecture import Shape

NO_CLIP = "is not a CLIP state dict"
VOCABULARY = 49408  # of the one tokenizer there is
# With the number of their axes.
_ALWAYS_THERE = {
    "text_projection": 2,
    "positional_embedding": 2,
    "token_embedding.weight": 2,
    "ln_final.weight": 1,
    "logit_scale": 0,
    "visual.conv1.weight": 4,
}
_VIT = {
    "visual.class_embedding": 1,
    "visual.positional_embedding": 2,
    "visual.proj": 2,
    "visual.transformer.resblocks.0.mlp.c_fc.weight": 2,
}
_RESNET = {
    "visual.layer1.0.conv1.weight": 4,
    "visual.attnpool.positional_embedding": 2,
    "visual.attnpool.c_proj.weight": 2,
}


def shape_of(state: Any, name: str) -> Shape:
    """The sizes that a state dict has.

    Raises:
        ValueError: with `name`: it is none, lacks a tensor, or has one of another form.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"{name} {NO_CLIP}: it holds a {type(state).__name__}")
    _require(state, _ALWAYS_THERE | {"transformer.resblocks.0.mlp.c_fc.weight": 2}, name)
    is_vit = count_blocks(state, "visual.transformer.resblocks.") > 0
    _require(state, _VIT if is_vit else _RESNET, name)
    rows = state["token_embedding.weight"].shape[0]
    if rows != VOCABULARY:
        raise ValueError(
            f"{name}: its vocabulary has {rows} entries, and the tokenizer here {VOCABULARY}: a "
            "model with another tokenizer cannot be used"
        )
    context, width = state["positional_embedding"].shape
    text = {
        "embed": state["text_projection"].shape[1],
        "text_width": width,
        "text_layers": count_blocks(state, "transformer.resblocks."),
        "text_hidden": state["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "context_length": context,
    }
    if not is_vit:
        tokens = state["visual.attnpool.positional_embedding"].shape[0]
        return Shape(
            **text,
            resolution=32 * _side(tokens, name),
            patch=0,
            vision_width=state["visual.layer1.0.conv1.weight"].shape[0],
            vision_layers=tuple(count_blocks(state, f"visual.layer{i}.") for i in (1, 2, 3, 4)),
            vision_hidden=0,
        )
    width, _, patch, _ = state["visual.conv1.weight"].shape
    return Shape(
        **text,
        resolution=patch * _side(state["visual.positional_embedding"].shape[0], name),
        patch=patch,
        vision_width=width,
        vision_layers=count_blocks(state, "visual.transformer.resblocks."),
        vision_hidden=state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
    )


def count_blocks(state: Mapping[str, Any], prefix: str) -> int:
    """How many blocks have tensors below a prefix."""
    return len({k[len(prefix) :].split(".")[0] for k in state if k.startswith(prefix)})


def _require(state: Mapping[str, Tensor], wanted: Mapping[str, int], name: str) -> None:
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ValueError(f"{name} {NO_CLIP}: it lacks {missing}")
    for key, axes in wanted.items():
        shape = getattr(state[key], "shape", None)
        if shape is None or len(shape) != axes:
            raise ValueError(
                f"{name} {NO_CLIP}: {key} is {shape and tuple(shape)}, not a tensor of {axes} axes"
            )


def _side(tokens: int, name: str) -> int:
    """Patches of a side, of a positional embedding's rows: theirs, and one more."""
    side = math.isqrt(max(0, tokens - 1))
    if side < 1 or side**2 != tokens - 1:
        raise ValueError(
            f"{name}: its image tower has {tokens - 1} places for patches, which are no square"
        )
    return side
