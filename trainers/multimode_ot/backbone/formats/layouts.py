"""Bare tensors of whichever layout, as a state dict of OpenAI's. They are known by their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from . import hugging_face_keys, open_clip_keys
from .shapes import NO_CLIP

ARCHIVE_CONSTANTS = ("input_resolution", "context_length", "vocab_size")  # of OpenAI's archives
# Nothing that a forward pass reads, indices 0, 1, 2, ... among it, and the bias that a sigmoid loss
# adds to all logits alike.
IGNORED = (*ARCHIVE_CONSTANTS, "logit_bias")
IGNORED_ENDS = ("position_ids",)


def to_openai(state: Any, where: str) -> dict[str, Tensor]:
    """The tensors under OpenAI's names.

    Args:
        state: as of `bare_tensors`.
        where: names it in errors.

    Raises:
        ValueError: no tensors, or those of a model that is no CLIP of the kind that runs here.
    """
    tensors = bare_tensors(state, where)
    layout = hugging_face_keys if hugging_face_keys.is_hugging_face(tensors) else open_clip_keys
    return layout.to_openai(tensors, where)


def bare_tensors(state: Any, where: str) -> dict[str, Tensor]:
    """Those that a forward pass reads, under their plain names.

    Args:
        state: bare, or what training saves around it (`state_dict`), also of a wrapped module.
        where: names it in errors.

    Raises:
        ValueError: no tensors.
    """
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    if not isinstance(state, Mapping):
        raise ValueError(f"{where} {NO_CLIP}: it holds a {type(state).__name__}")
    odd = next((key for key, value in state.items() if not isinstance(value, Tensor)), None)
    if odd is not None:
        raise ValueError(
            f"{where} {NO_CLIP}: {odd!r} in it is a {type(state[odd]).__name__}, no tensor"
        )
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        plain = _plain(key)
        if plain in tensors:
            raise ValueError(
                f"{where} holds two tensors for {plain}, with and without what a wrapped module's "
                "keys begin with: leave the copies of one model"
            )
        tensors[plain] = value
    return {k: v for k, v in tensors.items() if k not in IGNORED and not k.endswith(IGNORED_ENDS)}


def _plain(key: Any) -> str:
    """A key without what parallel and compiled modules put before it."""
    return re.sub(r"^((module|_orig_mod)\.)+", "", str(key))
