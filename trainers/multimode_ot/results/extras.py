"""Packages that only pages and pictures need, and what is said where they are missing."""

from __future__ import annotations

import importlib.util

NAMES = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}


def require_extras(what: str, *modules: str) -> None:
    """Raise `ImportError` that says how to install what `what` needs, unless it is there."""
    missing = [NAMES[name] for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{what} needs {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed: "
            'pip install "multimode-ot[report]"'
        )
