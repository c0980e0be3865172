"""OpenAI's `clip` package, of which the tokenizer is used."""

from __future__ import annotations

import warnings
from typing import Any


def clip_package() -> Any:
    """OpenAI's `clip` package.

    Raises:
        ImportError: it is not installed, cannot be imported, or another package has its name.
    """
    advice = "pip install clip-anytorch 'setuptools<81'"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            import clip
    except Exception as error:  # whatever a package of that name does
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        raise ImportError(
            f"OpenAI's clip package cannot be imported ({kind}{error}): {advice}"
        ) from None
    missing = [n for n in ("available_models", "tokenize", "clip") if not hasattr(clip, n)]
    if missing:
        raise ImportError(
            f"the package clip in {getattr(clip, '__file__', None) or 'an unknown place'} is not "
            f"OpenAI's (it has no {missing[0]}): pip uninstall clip, then {advice}"
        )
    return clip
