"""Class features of hand-written prompts, as zero-shot CLIP has them.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .class_tokens import embed_texts, readable
from .clip import CLIP
from .encoders import encode_text, normalised, project_text


def template_features(
    clip: CLIP,
    classnames: Sequence[str],
    templates: Sequence[str],
    unit: bool = True,
    whole: bool = True,
    raw_names: bool = False,
    projection: Tensor | None = None,
) -> Tensor:
    """The mean over templates of the features of `K` classes, `(K, d)`, in float32 at least.

    Args:
        classnames: `K` names.
        templates: with `{}` for the name.
        unit: normalise each template's features before the mean is taken.
        whole: normalise the mean.
        raw_names: leave the underscores in the names; else they become spaces.
        projection: `(w_t, d)`, in the place of CLIP's own text projection.

    Raises:
        ValueError: a prompt that does not fit the context.
    """
    per_template = []
    for template in templates:
        texts = [template.format(n if raw_names else readable(n)) for n in classnames]
        features = text_features(clip, texts, projection)
        per_template.append(normalised(features) if unit else features)
    mean = torch.stack(per_template).mean(0)
    return normalised(mean) if whole else mean


def text_features(clip: CLIP, texts: Sequence[str], projection: Tensor | None = None) -> Tensor:
    """The features of whole texts, `(len(texts), d)`, not normalised, in float32 at least.

    Args:
        projection: `(w_t, d)`, in the place of CLIP's own text projection.

    Raises:
        ValueError: a text that does not fit the context.
    """
    embeddings, eos = embed_texts(clip, texts)
    outputs = encode_text(clip, embeddings, only=eos)
    features = (
        project_text(clip, outputs) if projection is None else outputs @ projection.to(outputs)
    )
    return features.to(torch.promote_types(features.dtype, torch.float32))
