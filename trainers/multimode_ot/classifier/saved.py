"""The folder of a saved classifier, whole or not at all, without a pickle in it.

    classifier.json                method, settings, class names, preprocessing, backbone, versions
    prompts.safetensors            the prompt learner; of methods whose parameters belong to fixed
                                   classes with the names of these
    class_features.safetensors     optional: all that the logits need of the classes

The JSON holds a digest of the tensors of both files, and they hold one of the JSON, so that none of
the three can be exchanged, edited or damaged alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_recorded
from ..backbone.names import OPENAI
from ..backbone.state_dicts import tensors_digest
from ..config import require_known
from ..files import write_json
from ..methods import add_method_file, find_method, method_names
from ..methods.base import PromptedCLIP
from ..methods.build import build_model
from ..methods.class_bound import ClassBound
from ..training.machine import versions
from .content import (
    CONTENT,
    FORMAT,
    digest,
    input_node,
    plain,
    preprocessing_of,
    read_content,
    settings_node,
)
from .folders import require_replaceable, write_folder
from .structures import flatten, rebuilt

PROMPTS, FEATURES = "prompts.safetensors", "class_features.safetensors"
Clip = CLIP | str | os.PathLike | Mapping[str, Tensor]


@dataclass(frozen=True)
class Saved:
    """What a folder holds.

    Attributes:
        model: in evaluation mode, with the saved class names.
        inp: the node `INPUT` of the evaluation's transform.
        as_seen: whether pictures are read upright and on white.
        labels: what stands for each class, in the order of `model.classnames`.
        class_features: `model.class_features()` as it was saved; None where it was not, or where
            the towers compute in half precision here and did in another there.
        content: of classifier.json.
    """

    model: PromptedCLIP
    inp: CfgNode
    as_seen: bool
    labels: list[str | int]
    class_features: Any
    content: dict[str, Any]


def write_saved(
    folder: str | os.PathLike,
    model: PromptedCLIP,
    inp: CfgNode,
    as_seen: bool,
    backbone: Mapping[str, Any],
    labels: Sequence[str | int] | None = None,
    class_features: bool = False,
    batch_size: int = 100,
) -> Path:
    """Save a trained model with its current classes; a folder that was saved before is replaced.

    Args:
        inp: the node `INPUT` that it was trained with.
        as_seen: how its pictures were read.
        backbone: of `backbone.loading.backbone_record`, or `run.json`'s.
        labels: what stands for each class; the class names by default.
        class_features: save these, too, so that nobody needs the text tower for these classes.
        batch_size: how many pictures at once it is to label, since of some methods the logits
            depend on it (`batch_dependence`).

    Raises:
        FileExistsError: the folder is there, and is none that was saved.
        ValueError: class features that depend on the image, or cannot be saved.
        OSError: it cannot be written; nothing is left of the attempt.
    """
    folder = Path(folder)
    require_replaceable(folder)
    plan, features = _features_of(model) if class_features else (None, {})
    files = {PROMPTS: model.prompt_learner.state_dict(), **({FEATURES: features} if plan else {})}
    content = {
        "format": FORMAT,
        "method": model.name,
        "method_version": model.version,
        "settings": plain(model.cfg),
        "classnames": list(model.classnames),
        "labels": list(model.classnames if labels is None else labels),
        "unique_names": model.unique_names,
        "dataset": model.dataset,
        "class_ids": _class_ids(model),
        "preprocessing": preprocessing_of(inp, as_seen),
        "batch_size": batch_size,
        "backbone": {**backbone, "name": _from_anywhere(str(backbone["name"]))},
        "confidence": {
            "is": "softmax of the logits, which have this scale but where a method learns its own",
            "logit_scale": float(model.logit_scale),
        },
        "computed_in": computed_in(model),
        "class_features": plan,
        "tensors": {name: tensors_digest(tensors) for name, tensors in files.items()},
        "versions": versions(),
    }

    def fill(place: Path) -> None:
        from safetensors.torch import save

        write_json(place / CONTENT, content)
        for name, tensors in files.items():
            whole = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
            # Not save_file, whose files nobody but their owner may read.
            (place / name).write_bytes(save(whole, {"content": digest(content)}))

    return write_folder(folder, fill)


def read_saved(
    folder: str | os.PathLike,
    clip: Clip | None = None,
    device: torch.device | str = "cpu",
    method_file: str | None = None,
) -> Saved:
    """What `write_saved` has written.

    Args:
        clip: the backbone, where it is not to be had by the name that it was saved with.
        method_file: of a stranger's method.

    Raises:
        OSError: the folder, one of its files, or the backbone is not there.
        ValueError: damaged or edited files, an unknown method or another version of it, another
            backbone.
    """
    folder = Path(folder)
    content = read_content(folder)
    file = folder / CONTENT
    if method_file is not None:
        add_method_file(method_file)
    try:
        require_known("method", content["method"], method_names())
    except ValueError as error:
        raise ValueError(f"{file}: {error}; a method of your own needs its method_file") from None
    kind = find_method(content["method"])
    if content["method_version"] != kind.version:
        raise ValueError(
            f"{file}: made by version {content['method_version']} of {kind.name}, and this is "
            f"version {kind.version}, whose numbers differ: train it again, or use multimode_ot "
            f"{content['versions'].get('multimode_ot')}"
        )
    try:
        settings, inp = (
            settings_node(kind.name, content["settings"]),
            input_node(content["preprocessing"]),
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    state = _read_tensors(folder / PROMPTS, content)
    plan = content["class_features"]
    features = _read_tensors(folder / FEATURES, content) if plan else {}
    backbone = _backbone(content["backbone"], clip, file)
    with torch.random.fork_rng():
        model = build_model(
            kind.name,
            backbone,
            content["classnames"],
            settings,
            device,
            content["unique_names"],
            content["dataset"],
        )
    _load(model, state, content, folder / PROMPTS)
    usable = {name: _as_computed(tensor, model) for name, tensor in features.items()}
    in_half_here_alone = model.in_half and computed_in(model) != content["computed_in"]
    try:
        class_features = None if in_half_here_alone or not plan else rebuilt(plan, usable, kind)
    except ValueError as error:
        raise ValueError(f"{file}: class_features: {error}") from None
    as_seen = content["preprocessing"]["as_seen"]
    return Saved(model.eval(), inp, as_seen, content["labels"], class_features, content)


def computed_in(model: PromptedCLIP) -> str:
    """What the towers compute in, such as `float32`."""
    return str(model.precision.weights).removeprefix("torch.")


def _as_computed(tensor: Tensor, model: PromptedCLIP) -> Tensor:
    """On the model's device; wider where half precision was saved and is not computed in."""
    tensor = tensor.to(model.device)
    half = tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize
    return tensor.float() if half and not model.in_half else tensor


def _class_ids(model: PromptedCLIP) -> list[str] | None:
    ids = model.class_ids if isinstance(model, ClassBound) else None
    return None if ids is None else list(ids)


@torch.no_grad()
def _features_of(model: PromptedCLIP) -> tuple[Any, dict[str, Tensor]]:
    learner = model.prompt_learner
    training = learner.training
    plan, tensors = flatten(model.eval().class_features(), type(model))
    model.train(training)
    if not tensors:
        raise ValueError(
            f"{model.name} has no class features to save: what it makes of the class names depends "
            "on the image, so the text tower is needed for each"
        )
    return plan, tensors


def _read_tensors(file: Path, content: Mapping[str, Any]) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: the saved classifier is not whole")
    try:
        with safe_open(file, "pt") as tensors:
            metadata = tensors.metadata() or {}
            found = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    if metadata.get("content") != digest(content):
        raise ValueError(
            f"{file} was not saved with this {CONTENT}: one of them was edited or exchanged"
        )
    if tensors_digest(found) != content["tensors"].get(file.name):
        raise ValueError(f"{file} is damaged: its tensors are not those that were saved")
    return found


def _from_anywhere(name: str) -> str:
    """A backbone's name; of a file or folder the whole path, wherever the saved one is served."""
    return os.path.abspath(name) if name not in OPENAI and os.path.exists(name) else name


def _backbone(saved: Mapping[str, Any], clip: Clip | None, file: Path) -> CLIP:
    try:
        backbone = load_recorded(saved, clip)
    except (OSError, ValueError) as error:
        if clip is not None:
            raise
        raise type(error)(
            f"{file}: the backbone {saved['name']!r} cannot be loaded ({error}): give it "
            "as clip, or with --backbone"
        ) from None
    identity = backbone.identity()
    if identity != saved["sha256"]:
        raise ValueError(
            f"{file}: trained on the backbone {saved['name']} of sha256 {saved['sha256'][:12]}, "
            f"but {backbone.name} is {identity[:12]}: give the same one as clip, or with --backbone"
        )
    return backbone


def _load(
    model: PromptedCLIP, state: dict[str, Tensor], content: Mapping[str, Any], file: Path
) -> None:
    own = model.prompt_learner.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        raise ValueError(f"{file} lacks {missing} and has unknown {extra}")
    try:
        if isinstance(model, ClassBound) and content["class_ids"] is not None:
            model.identify(content["class_ids"])
        if own:
            model.load_prompts(state)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
