"""The JSON files that say what weights are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file of JSON holds.

    Raises:
        ValueError: with its path: it holds none, or is damaged.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of UTF-8 or JSON
        raise ValueError(f"{path} is no JSON, or damaged ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, and keys are wanted")
    return content


def is_finite(value: Any) -> bool:
    """Whether a value of JSON, which may also be NaN or infinite here, is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
