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
    clip: CLIP,
    classnames: Sequence[str],
    templates: Sequence[str],
    unit: bool = True,
    whole: bool = True,
    raw_names: bool = False,
) -> Tensor:
    """The mean over templates of the features of `K` classes, `(K, d)`, in float32 at least.

    Args:
        classnames: `K` names.
        templates: with `{}` for the name.
        unit: normalise each template's features before the mean is taken.
        whole: normalise the mean.
        raw_names: leave the underscores in the names; else they become spaces.

    Raises:
        ValueError: a prompt that does not fit the context.
    """
    per_template = []
    for template in templates:
        texts = [template.format(n if raw_names else readable(n)) for n in classnames]
        features = text_features(clip, texts)
        per_template.append(normalised(features) if unit else features)
    mean = torch.stack(per_template).mean(0)
    return normalised(mean) if whole else mean


def text_features(clip: CLIP, texts: Sequence[str]) -> Tensor:
    """The features of whole texts, `(len(texts), d)`, not normalised, in float32 at least.

    Raises:
        ValueError: a text that does not fit the context.
    """
    ids = tokenize(texts, clip.context_length).to(clip.token_embedding.weight.device)
    eos = ids.argmax(-1)  # the EOS has the highest id
    features = encode_text_pooled(clip, clip.token_embedding(ids[:, : int(eos.max()) + 1]), eos)
    return features.to(torch.promote_types(features.dtype, torch.float32))
