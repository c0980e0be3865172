"""A backbone's weights from a file or a download. Reads tensors, builds nothing."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .names import check_backbone, own_file

_DOWNLOADS = Path("~/.cache/clip").expanduser()  # where the clip package keeps them


def clip_package() -> Any:
    """OpenAI's `clip` package: model names, download and tokenizer.

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


def _locate(name: str) -> Path:
    check_backbone(name)
    path = own_file(name)
    if path is not None:
        return path
    clip = clip_package()
    url = clip.clip._MODELS[name]
    try:
        return Path(clip.clip._download(url, str(_DOWNLOADS)))
    except Exception as error:
        raise OSError(
            f"the weights of {name} could not be downloaded ({error}). Put the file "
            f"{url.rsplit('/', 1)[-1]} into {_DOWNLOADS}, or name a local file: "
            "MODEL.BACKBONE.NAME <path>"
        ) from error


def is_local(name: str) -> bool:
    """Whether the weights that `name` stands for are on this machine."""
    place = download_place(name)
    return bool(own_file(name)) or bool(place and place.is_file())


def download_place(name: str) -> Path | None:
    """The file that a backbone's weights are downloaded to; None of one that is not OpenAI's."""
    url = clip_package().clip._MODELS.get(name)
    return _DOWNLOADS / url.rsplit("/", 1)[-1] if url else None


def read_weights(name: str) -> Mapping[str, Tensor]:
    """The state dict that a backbone's name or file stands for.

    Raises:
        ValueError: unknown name (the nearest ones are listed), or a file of something else.
        OSError: weights that are neither on the disk nor to be had by download.
    """
    path = _locate(name)
    if _is_torchscript(path):  # OpenAI's own files; no Python code is unpickled from them
        with warnings.catch_warnings():  # that the format is old is nothing its user can change
            warnings.filterwarnings("ignore", "`?torch.jit.load")
            try:
                return torch.jit.load(str(path), map_location="cpu").state_dict()
            except RuntimeError:
                raise ValueError(
                    f"{path} is not an OpenAI CLIP state dict: it is a damaged TorchScript archive"
                ) from None
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = io.BytesIO(stream.read())
        state = torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # what damaged bytes raise has no common type
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        # Not chained: torch's message advises to load the file with its code.
        raise ValueError(
            f"{path} is not an OpenAI CLIP state dict: it is damaged, no file of torch.save, or "
            "holds more than tensors and plain values, which is never loaded"
        ) from None
    return state.get("state_dict", state) if isinstance(state, dict) else state


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
