"""State dicts: what one must be, and what identifies its values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

COUNTER = "num_batches_tracked"  # of batch norm; only training reads it


def require_tensors(state: Any) -> None:
    """Raise `ValueError` unless `state` maps names to tensors that are plain rows of numbers."""
    if not isinstance(state, Mapping):
        raise ValueError(f"the state dict is a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(f"{name!r} of the state dict is a {type(value).__name__}, no tensor")
        _require_plain(value, name)


def _require_plain(value: torch.Tensor, name: str) -> None:
    if value.is_meta or value.layout != torch.strided or value.is_quantized:
        kind = "without data (meta)" if value.is_meta else f"of {value.dtype}, {value.layout}"
        raise ValueError(f"{name} is a tensor {kind}, and plain numbers are wanted")


def floats_of(state: Mapping[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """A state dict in float32, but for batch norm's counters.

    Raises:
        ValueError: after `where`, the first tensor that is quantised, sparse, of whole or complex
            numbers, without data, or that is not finite in float32.
    """
    return {
        key: value if key.endswith(COUNTER) else _float(value, f"{where}: {key}")
        for key, value in state.items()
    }


def _float(value: torch.Tensor, name: str) -> torch.Tensor:
    _require_plain(value, name)
    if not value.is_floating_point():
        raise ValueError(f"{name} is a tensor of {value.dtype}, and floating-point ones are wanted")
    value = value.detach().float()
    # By its sum: a tensor of truth values would take a quarter of the memory again.
    if not torch.isfinite(value.sum()):
        raise ValueError(f"{name} holds numbers that are not finite in float32")
    return value


def tensors_digest(state: Mapping[str, torch.Tensor]) -> str:
    """sha256 of a state dict: names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()
