"""State dicts: what one must be, and what identifies its values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch


def require_tensors(state: Any) -> None:
    """Raise `ValueError` unless `state` maps names to tensors."""
    if not isinstance(state, Mapping):
        raise ValueError(f"the state dict is a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(f"{name!r} of the state dict is a {type(value).__name__}, no tensor")


def tensors_digest(state: Mapping[str, torch.Tensor]) -> str:
    """sha256 of a state dict: names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()
