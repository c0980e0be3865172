"""classifier.json: what it says, how that is checked, and what is made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ..config import flatten, merge_options
from ..methods.base import settings_path
from ..methods.build import default_settings
from ..training.transforms import resize_mode

FORMAT = 1
CONTENT = "classifier.json"
# What classifier.json has, and of which type.
KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "method": str,
    "method_version": int,
    "settings": dict,
    "classnames": list,
    "labels": list,
    "unique_names": bool,
    "dataset": (str, type(None)),
    "class_ids": (list, type(None)),
    "preprocessing": dict,
    "batch_size": int,
    "backbone": dict,
    "confidence": dict,
    "computed_in": str,
    "class_features": (dict, type(None)),
    "tensors": dict,
    "versions": dict,
}
PREPROCESSING = {
    "size": "SIZE",
    "interpolation": "INTERPOLATION",
    "mean": "PIXEL_MEAN",
    "std": "PIXEL_STD",
    "transforms": "TRANSFORMS",
    "resize": "RESIZE_MODE",
}
BEFORE = {"resize": "shortest"}  # what folders of earlier versions do not say


def digest(content: Mapping[str, Any]) -> str:
    """sha256 of the JSON, whatever its order and spaces."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A node or setting as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def read_content(folder: Path) -> dict[str, Any]:
    file = folder / CONTENT
    if not file.is_file():
        raise FileNotFoundError(f"{folder} is no saved classifier: it has no {CONTENT}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # of the decoder, and of bytes that are no text
        raise ValueError(f"{file} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"{file} has the format {found!r}; this version reads {FORMAT}")
    _require_keys(content, KEYS, str(file))
    _require_keys(
        BEFORE | content["preprocessing"],
        {"size": list, "interpolation": str, "mean": list, "std": list, "transforms": list,
         "as_seen": bool, "resize": str},
        f"{file}: preprocessing",
    )  # fmt: skip
    told = {"told": dict} if "told" in content["backbone"] else {}
    _require_keys(content["backbone"], {"name": str, "sha256": str} | told, f"{file}: backbone")
    if len(content["labels"]) != len(content["classnames"]):
        raise ValueError(
            f"{file}: {len(content['labels'])} labels for {len(content['classnames'])} classnames"
        )
    return content


def _require_keys(content: Mapping[str, Any], keys: Mapping[str, Any], where: str) -> None:
    missing, extra = sorted(keys.keys() - content.keys()), sorted(content.keys() - keys.keys())
    if missing or extra:
        raise ValueError(f"{where} lacks {missing} and has unknown {extra}")
    for key, kind in keys.items():
        if not isinstance(content[key], kind) or (kind is int and content[key] is True):
            raise ValueError(f"{where}: {key} is {content[key]!r}, which has the wrong type")


def settings_node(method: str, saved: dict[str, Any]) -> CfgNode:
    """The method's node with the saved values, checked as any config is when a model is built."""
    node, path = default_settings(method), settings_path(method)
    given, known = flatten(CfgNode(saved)), flatten(node)
    for key in known.keys() - given.keys():
        raise ValueError(f"settings lack {path}.{key}")
    for key in given.keys() - known.keys():
        raise ValueError(f"settings have {path}.{key}, which {method} has not")
    merge_options(node, [word for pair in given.items() for word in pair])
    return node


def preprocessing_of(inp: CfgNode, as_seen: bool) -> dict[str, Any]:
    """What classifier.json says of a node `INPUT`."""
    node = {**inp, "RESIZE_MODE": resize_mode(inp)}
    return {**{name: plain(node[key]) for name, key in PREPROCESSING.items()}, "as_seen": as_seen}


def input_node(preprocessing: dict[str, Any]) -> CfgNode:
    """The node `INPUT` that `preprocessing_of` was given, as far as it says."""
    said = BEFORE | preprocessing
    node = CfgNode({key: said[name] for name, key in PREPROCESSING.items()})
    node.SIZE, node.TRANSFORMS = tuple(node.SIZE), tuple(node.TRANSFORMS)
    resize_mode(node)
    return node
