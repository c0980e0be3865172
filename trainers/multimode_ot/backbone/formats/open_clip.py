"""open_clip's format: `open_clip_config.json` beside a file of weights.

What each key of a config does to the features was read in open_clip 3.3. A key is read here, or is
known to change nothing, or is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..architecture import Architecture, Preprocessing, Shape, Tower
from ..weights import Weights
from .configs import is_finite, read_json
from .layouts import to_openai
from .open_clip_settings import checked
from .tensor_files import read_archive, read_tensors

CONFIG = "open_clip_config.json"
# The library's order of files in a folder; behind them, a single one of these kinds.
_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
_KINDS = (".safetensors", ".bin", ".pth", ".pt")
_INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}
_EPS = 1e-5  # of torch's layer norm


def read(folder: Path, weights: Path | None, name: str) -> Weights:
    """A folder with `CONFIG` and its weights.

    Args:
        weights: the file of weights; the folder's own if None.
        name: that the backbone goes by.

    Raises:
        ValueError: a config or weights that cannot be run here, or damaged ones.
        OSError: a file that cannot be read; none of weights.
    """
    architecture = architecture_in(folder)
    path = weights_in(folder) if weights is None else weights
    return Weights(read_state(path), architecture, name)


def architecture_in(folder: Path) -> Architecture:
    """What a folder's config says of its model; raises as `read`."""
    return describe(read_json(folder / CONFIG), str(folder / CONFIG))


def read_state(path: Path) -> Mapping[str, Any]:
    """The tensors of a file of open_clip's, in OpenAI's layout; raises as `read`."""
    archive = read_archive(path)
    content = read_tensors(path) if archive is None else archive.state_dict()
    return to_openai(content, str(path))


def weights_in(folder: Path) -> Path:
    """The file of weights in a folder, in the library's order.

    Raises:
        ValueError: several, none of which the library would write.
        FileNotFoundError: none.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix in _KINDS and p.is_file())
    preferred = [folder / name for name in _FILES if folder / name in files]
    if preferred:
        return preferred[0]
    if len(files) > 1:
        raise ValueError(
            f"{folder}: which of {', '.join(p.name for p in files)} are the weights of {CONFIG}? "
            f"Call them {_FILES[0]} (safetensors) or {_FILES[2]} (torch), as open_clip does"
        )
    if not files:
        raise FileNotFoundError(
            f"{folder} has {CONFIG}, but no weights: {_FILES[0]} or {_FILES[2]} is missing"
        )
    return files[0]


def describe(config: Mapping[str, Any], where: str) -> Architecture:
    """What a config says of its model.

    Args:
        config: the content of `CONFIG`, or a model's config alone.
        where: names it in errors.

    Raises:
        ValueError: with the key and its value: what cannot be run here, or is no config.
    """
    if "model_cfg" not in config and "embed_dim" in config:
        config = {"model_cfg": config}
    parts = checked(config, where)
    model, vision, text = parts["model_cfg"], parts["vision_cfg"], parts["text_cfg"]
    quick = model["quick_gelu"]
    if quick not in (None, False, True):
        raise ValueError(f"{where}: quick_gelu {quick!r}: true or false")

    width, heads = (_size(text, key, "text_cfg", where) for key in ("width", "heads"))
    activation = _activation(text, "text_cfg", quick, where)
    head = _head_width(width, heads, f"{where}: text_cfg.heads {heads}")
    text_tower = Tower(activation, head, _eps(text, "text_cfg", where))
    sizes = {
        "embed": _size(model, "embed_dim", "model_cfg", where),
        "text_width": width,
        "text_layers": _size(text, "layers", "text_cfg", where),
        "text_hidden": _hidden(text, width, "text_cfg", where),
        "context_length": _size(text, "context_length", "text_cfg", where),
    }
    is_resnet = isinstance(vision["layers"], list | tuple)
    own = _resnet(vision, where) if is_resnet else _vit(vision, where)
    shape = Shape(**sizes, **own)
    wide = shape.vision_width * (32 if is_resnet else 1)  # what its attention works on
    told = _size(vision, "head_width", "vision_cfg", where)
    # The library rounds the number of heads down, and they share the width.
    head = _head_width(wide, wide // told, f"{where}: vision_cfg.head_width {told}")
    if is_resnet:
        vision_tower = Tower(activation, head)
    else:
        activation = _activation(vision, "vision_cfg", quick, where)
        vision_tower = Tower(activation, head, _eps(vision, "vision_cfg", where))
    seen = _preprocessing(parts["preprocess_cfg"], shape.resolution, where)
    return Architecture(vision_tower, text_tower, seen, shape)


def _resnet(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    layers = vision["layers"]
    if len(layers) != 4 or not all(_is_size(n) for n in layers):
        raise ValueError(f"{where}: vision_cfg.layers {layers}: a ResNet has four stages of blocks")
    return {
        "resolution": _side(vision, "image_size", where, of=32),
        "patch": 0,
        "vision_width": _size(vision, "width", "vision_cfg", where),
        "vision_layers": tuple(layers),
        "vision_hidden": 0,
    }


def _vit(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    width, patch = _size(vision, "width", "vision_cfg", where), _side(vision, "patch_size", where)
    return {
        "resolution": _side(vision, "image_size", where, of=patch),
        "patch": patch,
        "vision_width": width,
        "vision_layers": _size(vision, "layers", "vision_cfg", where),
        "vision_hidden": _hidden(vision, width, "vision_cfg", where),
    }


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _size(part: Mapping[str, Any], key: str, section: str, where: str) -> int:
    if not _is_size(part[key]):
        raise ValueError(f"{where}: {section}.{key} {part[key]!r}: a whole number from 1 on")
    return part[key]


def _side(vision: Mapping[str, Any], key: str, where: str, of: int = 1) -> int:
    """Pixels of a side, from one number or two equal ones, divided by `of` without remainder."""
    value = vision[key]
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if len(sides) not in (1, 2) or not all(_is_size(side) for side in sides):
        raise ValueError(f"{where}: vision_cfg.{key} {value!r}: a number of pixels")
    if len(set(sides)) > 1:
        raise ValueError(f"{where}: vision_cfg.{key} {value!r}: only squares run here")
    if sides[0] % of:
        raise ValueError(f"{where}: vision_cfg.{key} {value!r} is no multiple of {of} pixels")
    return sides[0]


def _head_width(width: int, heads: int, told: str) -> int:
    if heads < 1 or width % heads:
        raise ValueError(f"{told}: a width of {width} cannot be divided into such heads")
    return width // heads


def _hidden(part: Mapping[str, Any], width: int, section: str, where: str) -> int:
    ratio = part["mlp_ratio"]
    number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
    if not number or not 1 <= width * ratio < math.inf:
        raise ValueError(f"{where}: {section}.mlp_ratio {ratio!r}: a number such as 4.0")
    return int(width * ratio)


def _activation(part: Mapping[str, Any], section: str, quick: Any, where: str) -> str:
    said = part["act_kwargs"] or {}
    known = isinstance(said, Mapping) and set(said) <= {"approximate"}
    approximate = said.get("approximate", "none") if known else None
    if approximate not in ("none", "tanh") or (quick and said):
        raise ValueError(
            f"{where}: {section}.act_kwargs {said!r}"
            f"{' with quick_gelu' if quick else ''}: {{'approximate': 'tanh'}} (or 'none') is "
            "known, and without quick_gelu"
        )
    return "quick_gelu" if quick else "gelu_tanh" if approximate == "tanh" else "gelu"


def _eps(part: Mapping[str, Any], section: str, where: str) -> float:
    said = part["norm_kwargs"] or {}
    eps = said.get("eps", _EPS) if isinstance(said, Mapping) else None
    if (
        not isinstance(eps, float)
        or not 0 < eps < 1
        or any(said[key] is not True for key in set(said) - {"eps"})
        or not set(said) <= {"eps", "elementwise_affine", "bias"}
    ):
        raise ValueError(
            f"{where}: {section}.norm_kwargs {said!r}: only eps can be other than usual, as in "
            "{'eps': 1e-06}"
        )
    return eps


def _preprocessing(part: Mapping[str, Any], resolution: int, where: str) -> Preprocessing:
    word = part["interpolation"]
    if not isinstance(word, str) or word not in _INTERPOLATIONS:
        raise ValueError(
            f"{where}: preprocess_cfg.interpolation {word!r}: one of {', '.join(_INTERPOLATIONS)}"
        )
    mean, std = (_colours(part, key, where) for key in ("mean", "std"))
    return Preprocessing(resolution, mean, std, _INTERPOLATIONS[word], part["resize_mode"])


def _colours(part: Mapping[str, Any], key: str, where: str) -> tuple[float, ...]:
    value = part[key]
    three = value if isinstance(value, list | tuple) else [value] * 3
    numbers = all(is_finite(v) for v in three)
    # A single zero is one that the library takes for not given.
    if len(three) != 3 or not numbers or value == 0 or (key == "std" and min(three) <= 0):
        raise ValueError(f"{where}: preprocess_cfg.{key} {value!r}: three numbers, of red to blue")
    return tuple(float(v) for v in three)
