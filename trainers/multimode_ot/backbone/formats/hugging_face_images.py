"""What a `preprocessor_config.json` of Hugging Face says of images, as far as it can be said here.

Source: `CLIPImageProcessor` of transformers. It resizes, cuts out the middle, divides by 255, takes
off the mean and divides by the standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..architecture import OPENAI_MEAN, OPENAI_STD, Preprocessing
from .configs import is_finite

# What the library takes for keys that are absent.
DEFAULTS = {
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(OPENAI_MEAN),
    "image_std": list(OPENAI_STD),
}
KINDS = ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil")
INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
# What names the class, where it runs and what it returns. Images are RGB here before they come.
_WORDS = """
_processor_class _valid_processor_keys data_format default_to_square device disable_grouping
do_convert_rgb feature_extractor_type image_processor_type input_data_format processor_class
return_tensors
"""
_NEUTRAL = frozenset(_WORDS.split())


class _Other(ValueError):
    """Preprocessing that cannot be said here; the message names the key and its value."""


def preprocessing(
    config: Mapping[str, Any] | None, resolution: int
) -> tuple[Preprocessing | None, str]:
    """What images become, or None and the reason.

    Args:
        config: of the image processor; None where there is no such file.
        resolution: pixels of a side that the image tower takes.
    """
    if config is None:
        return None, "there is no preprocessor_config.json and no processor_config.json beside it"
    try:
        return _read(config, resolution), ""
    except _Other as reason:
        return None, f"its image processor has {reason}"


def _read(given: Mapping[str, Any], resolution: int) -> Preprocessing:
    _require_known(given)
    config = {**DEFAULTS, **given}
    size, resize = _resized(config)
    if resize == "shortest":
        if not config["do_center_crop"]:
            raise _Other("do_center_crop False, which leaves images that are not square")
        side = _square(config["crop_size"], "crop_size")
        if side != size:
            raise _Other(
                f"size {size} and crop_size {side}: only an image's whole shorter side can be cut "
                "out"
            )
    elif config["do_center_crop"] and _square(config["crop_size"], "crop_size") != size:
        raise _Other(f"size {size} squeezed and crop_size {config['crop_size']}: they differ")
    if size != resolution:
        raise _Other(f"size {size}, and the image tower takes {resolution}")
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    if config["do_normalize"]:
        mean, std = (_colours(config, key) for key in ("image_mean", "image_std"))
        if min(std) <= 0:
            raise _Other(f"image_std {config['image_std']!r}")
    return Preprocessing(size, mean, std, _interpolation(config["resample"]), resize)


def _require_known(given: Mapping[str, Any]) -> None:
    for key in ("image_processor_type", "feature_extractor_type"):
        kind = given.get(key)
        if kind not in (None, *KINDS, "CLIPFeatureExtractor"):
            raise _Other(f"{key} {kind!r}, which is not CLIP's")
    for key, value in given.items():
        is_left_out = value is None or (value is False and key.startswith("do_"))
        if key not in DEFAULTS and key not in _NEUTRAL and not is_left_out:
            raise _Other(f"{key} {value!r}, which CLIP's has not")
    for key in ("do_resize", "do_rescale"):
        if given.get(key, True) is not True:
            raise _Other(f"{key} {given[key]!r}: images of any size and of 0 to 255 are given")
    for key in ("do_center_crop", "do_normalize"):
        if not isinstance(given.get(key, True), bool):
            raise _Other(f"{key} {given[key]!r}")
    factor = given.get("rescale_factor", DEFAULTS["rescale_factor"])
    if not isinstance(factor, float) or not math.isclose(factor, 1 / 255, rel_tol=1e-6):
        raise _Other(f"rescale_factor {factor!r}, which is not 1/255")


def _resized(config: Mapping[str, Any]) -> tuple[int, str]:
    """Pixels of a side, and the mode."""
    size = config["size"]
    if isinstance(size, Mapping):
        size = {key: value for key, value in size.items() if value is not None}
        if set(size) == {"shortest_edge"}:
            return _pixels(size["shortest_edge"], "size"), "shortest"
        return _square(size, "size"), "squash"
    return _pixels(size, "size"), "squash" if config.get("default_to_square") else "shortest"


def _square(value: Any, key: str) -> int:
    if not isinstance(value, Mapping):
        return _pixels(value, key)
    if set(value) != {"height", "width"} or value["height"] != value["width"]:
        raise _Other(f"{key} {dict(value)!r}, which is no square")
    return _pixels(value["height"], key)


def _pixels(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _Other(f"{key} {value!r}")
    return value


def _colours(config: Mapping[str, Any], key: str) -> tuple[float, ...]:
    value = config[key]
    values = [value] * 3 if isinstance(value, int | float) else value
    numbers = isinstance(values, list | tuple) and all(map(is_finite, values))
    if not numbers or len(values) != 3:
        raise _Other(f"{key} {value!r}, which are no three numbers")
    return tuple(float(v) for v in values)


def _interpolation(resample: Any) -> str:
    known: dict[Any, str] = INTERPOLATIONS | {word: word for word in INTERPOLATIONS.values()}
    key = resample.lower() if isinstance(resample, str) else resample
    if isinstance(key, bool) or not isinstance(key, int | str) or key not in known:
        raise _Other(f"resample {resample!r}")
    return known[key]
