"""Files of tensors: what torch has saved, safetensors, OpenAI's archives. No code of one ever runs
that was pickled."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from .shapes import NO_CLIP


def read_tensors(path: Path) -> Any:
    """What a file holds, on the CPU: a state dict, or a mapping around one.

    Raises:
        ValueError: with the path: a damaged file, or one of something else.
        OSError: one that cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = io.BytesIO(stream.read())
        return torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # what damaged bytes raise has no common type
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        # Not chained: torch's message advises to load the file with its code.
        raise ValueError(
            f"{path} {NO_CLIP}: it is damaged, no file of torch.save, or holds more than tensors "
            "and plain values, which is never loaded"
        ) from None


def read_archive(path: Path) -> torch.jit.ScriptModule | None:
    """A TorchScript archive; None of any other file.

    Raises:
        ValueError: a damaged one.
    """
    if not _is_torchscript(path):
        return None
    with warnings.catch_warnings():  # that the format is old is nothing its user can change
        warnings.filterwarnings("ignore", "`?torch.jit.load")
        try:
            return torch.jit.load(str(path), map_location="cpu")
        except RuntimeError:
            raise ValueError(f"{path} {NO_CLIP}: it is a damaged TorchScript archive") from None


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
