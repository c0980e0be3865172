"""`load_clip`: a frozen CLIP from a name, a file, a folder, a state dict or a live module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .architecture import OPENAI, NotTold, require_agreement
from .clip import CLIP
from .live_modules import read_module, unwrapped
from .same_features import require_same_features
from .sources import read_mapping, read_weights


def load_clip(
    source: str | os.PathLike | Mapping[str, Tensor] | nn.Module,
    activation: str | Sequence[str] | None = None,
    head_width: int | Sequence[int] | None = None,
) -> CLIP:
    """A frozen float32 CLIP on the CPU.

    Args:
        source: one of `available_backbones()`; `open_clip:ARCH/PRETRAINED`; `hf:OWNER/NAME`; the
            path of a file or folder (docs/backbones.md has the formats); a state dict; or a live
            module of OpenAI's package, open_clip or transformers.
        activation: of a file or mapping of bare tensors, which does not tell: `quick_gelu`, `gelu`
            or `gelu_tanh`; two of them are the image's and the text tower's.
        head_width: likewise, the width of an attention head.

    Raises:
        ValueError: unknown name (the nearest ones are listed); not a CLIP, or one that the towers
            here cannot be (what it has is named); bare tensors without `activation` and
            `head_width`, or a backbone that says otherwise itself.
        OSError: weights that are neither on the disk nor to be had by download.
        ImportError: the package that a name goes through is not installed.
    """
    if isinstance(source, CLIP):
        require_agreement(source.architecture, activation, head_width, source.name)
        return source
    if isinstance(source, nn.Module):
        module = unwrapped(source)
        weights = read_module(module)
        require_agreement(weights.architecture, activation, head_width, weights.name)
        clip = CLIP(_copied(weights.state), weights.architecture, weights.name)
        require_same_features(module, clip)
        return clip
    if isinstance(source, Mapping):
        weights = read_mapping(source, "CLIP", activation, head_width)
        return CLIP(_copied(weights.state), weights.architecture, weights.name)
    weights = read_weights(str(source), activation, head_width)
    clip = CLIP(weights.state, weights.architecture, weights.name)
    if weights.program is not None:
        require_same_features(weights.program, clip)
    return clip


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a caller's model is trained to afterwards must not change a frozen one."""
    return {key: value.detach().clone() for key, value in state.items()}


def backbone_record(clip: CLIP) -> dict[str, Any]:
    """What a record keeps of a backbone: `name`, `sha256` (`CLIP.identity`: one that a model has
    cast to half precision has another) and, of bare tensors, what the user told of them."""
    told = dict(clip.architecture.told)
    return {"name": clip.name, "sha256": clip.identity(), **({"told": told} if told else {})}


def load_recorded(
    record: Mapping[str, Any],
    source: str | os.PathLike | Mapping[str, Tensor] | nn.Module | None = None,
) -> CLIP:
    """The backbone of a record, to be held against the record's `sha256`.

    Args:
        record: of `backbone_record`.
        source: what has it now, as `load_clip` takes it; the recorded name by default. Bare tensors
            are run as the record says.

    Returns:
        What may be another one: `CLIP.identity` tells.

    Raises:
        ValueError, OSError, ImportError: as `load_clip`.
    """
    source = record["name"] if source is None else source
    try:
        return load_clip(source)
    except NotTold:
        # Without a word, as of an earlier version or of a file that said it itself, as OpenAI's.
        told = record.get(
            "told", {"activation": OPENAI.activation, "head_width": OPENAI.head_width}
        )
        return load_clip(source, told.get("activation"), told.get("head_width"))
