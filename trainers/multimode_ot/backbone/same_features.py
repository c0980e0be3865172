"""Whether a live module computes what the towers here make of its weights: both are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .class_tokens import tokenize
from .clip import CLIP
from .encoders import encode_image, encode_text_pooled, normalised

# Of a module's own features and ours, normalised; what differs in kind differs by 3e-3 and more,
# but for the two exact and approximated activations, which are told apart by themselves.
TOLERANCES = {torch.float64: 5e-4, torch.float32: 5e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
METHODS = (("encode_image", "encode_text"), ("get_image_features", "get_text_features"))
WORDS = ["a photo of a cat.", "a diagram of two small houses beside a river."]


def can_be_asked(module: nn.Module) -> bool:
    """Whether a module, or a TorchScript archive, has methods for its features."""
    return _methods(module) is not None


def _methods(module: nn.Module) -> tuple[str, str] | None:
    return next((pair for pair in METHODS if all(hasattr(module, m) for m in pair)), None)


@torch.no_grad()
def require_same_features(module: nn.Module, clip: CLIP) -> None:
    """Refuse a module whose own features are not those that `clip` makes of its weights.

    One that has none of `METHODS`, or whose methods want more than images and words, as those of
    repositories that put prompts into them, is believed.

    Raises:
        ValueError: the larger difference is named.
    """
    methods = _methods(module)
    if methods is None:
        return
    # Patches are made in the type of the matrix products, which norms and embeddings may not have.
    dtype, device = next((p.dtype, p.device) for p in module.parameters() if p.ndim == 4)
    tolerance = max(TOLERANCES.get(p.dtype, 0.05) for p in module.parameters())
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, clip.resolution, clip.resolution, generator=generator)
    ids = tokenize(WORDS, clip.context_length)
    eos = ids.argmax(-1)
    ours = (
        encode_image(clip, images, pooled_only=True)[:, 0, 0],
        encode_text_pooled(clip, clip.token_embedding(ids), eos),
    )
    # Some copies take images of their weights' type, others turn them into it themselves.
    inputs = images.to(device, dtype), ids.to(device)
    for kind, name, given, own in zip(("image", "text"), methods, inputs, ours, strict=True):
        theirs = _run(module, getattr(module, name), given)
        if theirs is None:
            continue
        if theirs.shape != own.shape:
            raise ValueError(
                f"{clip.name}: its own {kind} features of two inputs are {tuple(theirs.shape)}, "
                f"and those of the towers here {tuple(own.shape)}"
            )
        gap = float((normalised(theirs.float().cpu()) - normalised(own)).abs().max())
        if not gap <= tolerance:
            raise ValueError(
                f"{clip.name}: its own {kind} features differ from those of the towers here by "
                f"{gap:.1g} (normalised): it computes something that its weights, activations and "
                "heads do not show, such as another pooling, or attention without a causal mask"
            )


def _run(module: nn.Module, method: Callable[[Tensor], Any], given: Tensor) -> Tensor | None:
    """Features of a module in evaluation mode; None where it cannot be asked like this."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        output = method(given)
    except Exception:  # whatever a stranger's method does
        return None
    finally:
        for part in training:
            part.training = True
    features = getattr(output, "pooler_output", output)
    return features if isinstance(features, Tensor) and features.ndim == 2 else None
