"""Class features of hand-written prompts, as zero-shot CLIP has them.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .class_tokens import readable, tokenize
from .clip import CLIP
from .encoders import encode_text_pooled, normalised


def template_features(
    clip: CLIP, classnames: Sequence[str], templates: Sequence[str], unit: bool = True
) -> Tensor:
    """The mean over templates of the features of `K` classes, `(K, d)`, unit vectors, in float32 at
    least.

    Args:
        classnames: `K` names; underscores become spaces.
        templates: with `{}` for the name.
        unit: normalise each template's features before the mean is taken.

    Raises:
        ValueError: a prompt that does not fit the context.
    """
    per_template = []
    for template in templates:
        features = text_features(clip, [template.format(readable(name)) for name in classnames])
        per_template.append(normalised(features) if unit else features)
    return normalised(torch.stack(per_template).mean(0))


def text_features(clip: CLIP, texts: Sequence[str]) -> Tensor:
    """The features of whole texts, `(len(texts), d)`, not normalised, in float32 at least.

    Raises:
        ValueError: a text that does not fit the context.
    """
    ids = tokenize(texts, clip.context_length).to(clip.token_embedding.weight.device)
    eos = ids.argmax(-1)  # the EOS has the highest id
    features = encode_text_pooled(clip, clip.token_embedding(ids[:, : int(eos.max()) + 1]), eos)
    return features.to(torch.promote_types(features.dtype, torch.float32))
