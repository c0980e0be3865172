"""Bare tensors of whichever layout, as a state dict of OpenAI's. They are known by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from . import open_clip_keys
from .shapes import NO_CLIP

ARCHIVE_CONSTANTS = ("input_resolution", "context_length", "vocab_size")  # of OpenAI's archives
# Nothing that a forward pass reads, indices 0, 1, 2, ... among it, and the bias that a sigmoid loss
# adds to all logits alike.
IGNORED = (*ARCHIVE_CONSTANTS, "logit_bias")
IGNORED_ENDS = ("position_ids",)


def to_openai(state: Any, where: str) -> dict[str, Tensor]:
    """The tensors under OpenAI's names.

    Args:
        state: bare, or what training saves around it (`state_dict`), also of a wrapped module.
        where: names it in errors.

    Raises:
        ValueError: no tensors, or those of a model that is no CLIP of the kind that runs here.
    """
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    if not isinstance(state, Mapping):
        raise ValueError(f"{where} {NO_CLIP}: it holds a {type(state).__name__}")
    tensors = {_plain(key): value for key, value in state.items()}
    wanted = {k: v for k, v in tensors.items() if k not in IGNORED and not k.endswith(IGNORED_ENDS)}
    return open_clip_keys.to_openai(wanted, where)


def _plain(key: Any) -> str:
    return str(key).removeprefix("module.")
