"""Small helpers for files, names, seeds and the environment report.

Dataset readers list folders and read and write their split files with them; `train.py` seeds
the generators and prints the environment.
"""

import difflib
import json
import os
import random
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dassl._on_demand import import_on_demand

if TYPE_CHECKING:
    from .images import read_image  # noqa: F401 - hosts import it from here too


def mkdir_if_missing(dirname: str) -> None:
    """Create a folder and its parents; present already, or `""`, is fine."""
    if dirname:
        os.makedirs(dirname, exist_ok=True)


def check_isfile(fpath: str) -> bool:
    """Whether `fpath` is an existing regular file, with a warning if not."""
    found = os.path.isfile(fpath)
    if not found:
        warnings.warn(f'No file found at "{fpath}"', stacklevel=2)
    return found


def read_json(fpath: str) -> Any:
    with open(fpath, encoding="utf-8-sig") as file:  # editors on Windows write a mark in front
        return json.load(file)


def write_json(obj: Any, fpath: str) -> None:
    """Write `obj` with indent 4; whoever reads meanwhile sees the old file or the new one."""
    mkdir_if_missing(os.path.dirname(fpath))
    partial = f"{fpath}.{os.getpid()}.partial"
    try:
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(obj, file, indent=4, separators=(",", ": "))
        os.replace(partial, fpath)
    finally:
        with suppress(FileNotFoundError):
            os.remove(partial)


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, on every device."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - readers and augmentations draw from the global state
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


def collect_env_info() -> str:
    """A text on torch, the system and Pillow for the head of a log; never raises."""
    import PIL
    import torch

    try:
        from torch.utils.collect_env import get_pretty_env_info

        text = get_pretty_env_info()
    except Exception as error:  # the report runs system commands, and must not end a run
        text = f"PyTorch version: {torch.__version__} (no further report: {error})"
    return f"{text}\n        Pillow ({PIL.__version__})"


def listdir_nohidden(path: str, sort: bool = False) -> list[str]:
    """Names in `path` that do not start with a dot.

    In the order of `os.listdir` unless asked: what readers list here decides which images
    few-shot sampling picks.
    """
    names = [name for name in os.listdir(path) if not name.startswith(".")]
    return sorted(names) if sort else names


def get_most_similar_str_to_a_from_b(a: str, b: Sequence[str]) -> str | None:
    """The string of `b` most like `a`, the later one on ties, or None if `b` is empty."""
    ratios = [(difflib.SequenceMatcher(None, a, s).ratio(), i) for i, s in enumerate(b)]
    return b[max(ratios)[1]] if ratios else None


def check_availability(requested: str, available: Sequence[str]) -> None:
    """`ValueError` with all names and the closest one unless `requested` is available."""
    if requested not in available:
        closest = get_most_similar_str_to_a_from_b(requested, available)
        raise ValueError(
            f"The requested one is expected to belong to {available}, "
            f"but got [{requested}] (do you mean [{closest}]?)"
        )


def tolist_if_not(x: Any) -> list:
    return x if isinstance(x, list) else [x]


import_on_demand(__name__, images="read_image")
