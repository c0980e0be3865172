"""How a live CLIP module computes, read from its parts: its activations by what they do to numbers,
its heads and epsilons by the attributes that torch's own modules have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .architecture import OPENAI, Architecture, Tower
from .formats.hugging_face_config import describe
from .formats.hugging_face_keys import is_hugging_face
from .formats.layouts import to_openai
from .formats.shapes import NO_CLIP, shape_of
from .weights import Weights

NOT_SAID = "a live module does not say what it was trained to see"
_FUNCTIONS = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


def read_module(module: nn.Module) -> Weights:
    """The tensors of a module of OpenAI's package (or a copy of it), of open_clip or transformers,
    and how it runs them.

    Raises:
        ValueError: none of these, or one whose parts do not say how it computes.
    """
    name = type(module).__name__
    tensors = module.state_dict()
    state = to_openai(tensors, name)
    shape_of(state, name)
    config: Any = getattr(module, "config", None)
    if is_hugging_face(tensors) and config is not None:
        architecture = describe(config.to_dict(), None, f"the config of {name}")
        _require_activations(module, architecture, name)
    else:
        architecture = Architecture(*towers_of(module, name))
    _require_epsilons(module, architecture, name)
    architecture = replace(architecture, preprocessing=None, no_preprocessing=NOT_SAID)
    return Weights(state, architecture, name)


def unwrapped(module: nn.Module) -> nn.Module:
    """What torch's parallel and compiled modules hold."""
    while isinstance(inner := getattr(module, "_orig_mod", None) or _parallel(module), nn.Module):
        module = inner
    return module


def _parallel(module: nn.Module) -> Any:
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel
    return module.module if isinstance(module, wrappers) else None


def _require_activations(module: nn.Module, architecture: Architecture, name: str) -> None:
    """Refuse a module of transformers that has others than its config says."""
    for side, tower in (("vision_model", architecture.vision), ("text_model", architecture.text)):
        where = f"the {side} of {name}"
        for block in module.get_submodule(f"{side}.encoder.layers").children():
            found = _activation_of(block, where)
            if found != tower.activation:
                raise ValueError(
                    f"{where}: one of its blocks has {found}, and its config says "
                    f"{tower.activation}: they belong to different models"
                )


def _require_epsilons(module: nn.Module, architecture: Architecture, name: str) -> None:
    """Refuse a module one of whose layer norms, in whatever place, is not as its tower's."""
    for key, norm in module.named_modules():
        if isinstance(norm, nn.LayerNorm):
            of_images = key.startswith(("visual.", "vision_model."))
            tower = architecture.vision if of_images else architecture.text
            if norm.eps != tower.eps:
                raise ValueError(
                    f"{name}: {key} has the epsilon {norm.eps}, and other norms of its tower have "
                    f"{tower.eps}: towers here have one"
                )


def towers_of(module: nn.Module, name: str) -> tuple[Tower, Tower]:
    """The image's and the text tower of a live module, also of a TorchScript archive.

    Raises:
        ValueError: its parts do not say how they compute.
    """
    parts = dict(module.named_children())
    text = _tower(parts.get("text", module), f"the text tower of {name}")
    visual: Any = parts.get("visual")
    if visual is None:
        raise ValueError(f"{name} {NO_CLIP}: it has no image tower")
    if hasattr(visual, "attnpool"):
        heads = getattr(visual.attnpool, "num_heads", None)
        if heads is None:  # as of a model that was traced
            raise ValueError(
                f"the image tower of {name}: its pool does not say how many heads it has"
            )
        width = visual.attnpool.positional_embedding.shape[1]
        return Tower(text.activation, width // heads), text
    return _tower(visual, f"the image tower of {name}"), text


def _tower(root: Any, where: str) -> Tower:
    blocks = list(_blocks(root, where))
    activations = {_activation_of(block, where) for block in blocks}
    heads = {_heads_of(block) for block in blocks}
    # Where an archive has forgotten it, it is torch's own.
    norms = [norm for block in blocks for norm in (block.ln_1, block.ln_2)]
    epsilons = {float(getattr(norm, "eps", OPENAI.eps)) for norm in norms}
    for what, found in (("activations", activations), ("heads", heads), ("epsilons", epsilons)):
        if len(found) > 1:
            values = ", ".join(sorted(map(str, found)))
            raise ValueError(f"{where}: its blocks have different {what}: {values}")
    activation, width = activations.pop(), blocks[0].ln_1.weight.shape[0]
    count = heads.pop()
    if count is None:  # as of a model that was traced
        raise ValueError(f"{where}: its attention does not say how many heads it has")
    return Tower(activation, width // count, epsilons.pop())


def _blocks(root: Any, where: str) -> Iterator[Any]:
    blocks = getattr(getattr(root, "transformer", None), "resblocks", None)
    if blocks is None:
        raise ValueError(f"{where} has no transformer.resblocks: it is none that runs here")
    # A TorchScript archive has a module for each kind of container, without their methods.
    return (block for _, block in blocks.named_children())


def activations_of(module: nn.Module, name: str) -> set[str]:
    """The activations of all blocks of a live module; raises as `towers_of`."""
    children = dict(module.named_children())
    roots = [children.get("text", module), children.get("visual")]
    roots = [root for root in roots if not hasattr(root, "attnpool")]
    return {_activation_of(block, name) for root in roots for block in _blocks(root, name)}


def _heads_of(block: Any) -> int | None:
    heads = getattr(block.attn, "num_heads", None)
    return heads if isinstance(heads, int) else None


def _activation_of(block: Any, where: str) -> str:
    between = [part for _, part in block.mlp.named_children() if not list(part.parameters())]
    between = [part for part in between if not _changes_nothing(part)]
    if len(between) != 1:
        raise ValueError(f"{where}: its MLP has no activation module that could be looked at")
    x = torch.linspace(-4, 4, 33)
    try:
        with torch.no_grad():
            y = between[0](x)
    except Exception as error:  # whatever a stranger's module does
        raise ValueError(f"{where}: its activation cannot be run ({error})") from None
    distances = {word: float((f(x) - y).abs().max()) for word, f in _FUNCTIONS.items()}
    nearest = min(distances, key=lambda word: distances[word])
    # The two that are nearest each other differ by 5e-4, those that half precision has rounded
    # from themselves by 2e-3.
    if distances[nearest] > 1e-4:
        raise ValueError(
            f"{where}: its activation {type(between[0]).__name__} is none of "
            f"{', '.join(_FUNCTIONS)} (the nearest, {nearest}, differs by {distances[nearest]:.1g})"
        )
    return nearest


def _changes_nothing(part: Any) -> bool:
    x = torch.linspace(-4, 4, 33)
    try:
        with torch.no_grad():
            y = part(x)
    except Exception:  # whatever a stranger's module does: it is looked at as an activation
        return False
    return isinstance(y, Tensor) and torch.equal(x, y)
