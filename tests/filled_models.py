"""Small models that a library makes, filled with random numbers, beside what is read here.

All parameters and buffers are random, since fresh models have zero biases and unit norms, which a
reader could drop or swap unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from multimode_ot.backbone.class_tokens import tokenize
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.encoders import encode_image, encode_text, normalised, project_text
from torch import Tensor, nn

TEXTS = ["a photo of a cat.", "The giant panda & 2 pandas", "x"]


def fill(model: nn.Module, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, tensor in model.state_dict(keep_vars=True).items():
            noise = torch.randn(tensor.shape, generator=dice)
            if not tensor.is_floating_point():  # a counter of batches
                tensor.fill_(7)
            elif key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=dice))
            elif tensor.ndim < 2 and key.endswith("weight"):
                tensor.copy_(1 + 0.3 * noise)
            elif tensor.ndim < 2:
                tensor.copy_(0.3 * noise)
            else:
                is_matrix = not key.endswith(("embedding", "embedding.weight"))
                tensor.copy_(noise / (tensor[0].numel() ** 0.5 if is_matrix else 1))


def inputs(resolution: int, double: bool = False) -> tuple[Tensor, Tensor]:
    images = torch.randn(3, 3, resolution, resolution, generator=torch.Generator().manual_seed(1))
    return images.double() if double else images, tokenize(TEXTS)


@torch.no_grad()
def features(clip: CLIP, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised features of this package's towers."""
    image = encode_image(clip, images, pooled_only=True)[:, 0, 0]
    text = project_text(clip, encode_text(clip, clip.token_embedding(ids), only=ids.argmax(-1)))
    return normalised(image), normalised(text)


def largest_differences(
    clip: CLIP,
    model: nn.Module,
    of_library: Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]],
    double: bool,
) -> tuple[float, float]:
    """The largest of the image and of the text features."""
    if double:
        clip, model = clip.double(), model.double()
    given = inputs(clip.resolution, double)
    pairs = zip(features(clip, *given), of_library(model, *given), strict=True)
    image, text = (float((ours - theirs).abs().max()) for ours, theirs in pairs)
    return image, text
