"""The libraries that fetch; they are an extra of the distribution, and imported where needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import GetError


def library(name: str, purpose: str) -> Any:
    """The module `name`; raises GetError that says how to install it."""
    try:
        return import_module(name)
    except ImportError as e:
        known = isinstance(e, ModuleNotFoundError) and (e.name or "") == name
        raise GetError(
            f'{purpose} needs {name}: pip install "dassl-standin[data]" '
            f'(in a checkout: pip install -e "./toolbox[data]"){"" if known else f" ({e})"}'
        ) from e
