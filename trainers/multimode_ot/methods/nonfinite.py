"""Which tensor of a forward pass went wrong first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def raise_for_nonfinite(**named: Any) -> None:
    """Raise `FloatingPointError` for the first tensor that has a NaN or Inf."""
    for name, value in named.items():
        if isinstance(value, Tensor):
            bad = ~value.isfinite()
            if bad.any():
                rows = bad.flatten(1).any(1).nonzero().flatten().tolist() if bad.ndim > 1 else []
                where = f" (rows {rows[:8]})" if rows else ""
                raise FloatingPointError(f"NaN or Inf in {name}{where}")
        elif isinstance(value, Mapping):
            raise_for_nonfinite(**{f"{name}.{k}": v for k, v in value.items()})
        elif isinstance(value, tuple):
            fields = getattr(value, "_fields", range(len(value)))
            raise_for_nonfinite(**{f"{name}.{k}": v for k, v in zip(fields, value, strict=True)})
