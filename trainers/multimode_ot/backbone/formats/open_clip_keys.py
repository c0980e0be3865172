"""open_clip's tensors under OpenAI's names; those of towers that cannot be run here are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_TEXT = "text."  # a text tower of its own (`force_custom_text=True`)
# What a key says of its model, in the order in which it tells most.
_REFUSED = (
    (r"(visual\.)?vision_model\.|text_model\.", "Hugging Face's layout, or half a model in it"),
    (r"(image|text)_encoder\.", "MobileCLIP's layout"),
    (r"text_decoder\.", "CoCa, a model that also writes captions"),
    (r"(text\.)?cls_emb$", "a text tower with a class token behind the text, such as CoCa's"),
    (r"visual\.attn_pool", "an image tower with attentional pooling, such as CoCa's"),
    (r"visual\.trunk\.|visual\.head\.", "an image tower of timm (SigLIP's, EVA's and others)"),
    (r".*(\brope\b|freqs_cos|freqs_sin)|visual\.(blocks|patch_embed)\.", "EVA's image tower"),
    (r"text\.transformer\.(?!resblocks\.)|text\.proj\.", "a text tower of Hugging Face's library"),
    (r".*\.ls_[12]\.gamma$", "a tower with layer scale"),
    (
        r".*\.(attn\.(ln_q|ln_k|ln_inner|logit_scale|head_scale)|ln_attn|mlp\.ln)\b",
        "a tower with further norms or scales in its blocks",
    ),
    (r"(text\.)?text_projection\.bias$", "a text tower whose projection has a bias"),
)


def to_openai(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Tensors under OpenAI's names, of open_clip's layout with or without a prefix of the text
    tower. Others keep their names.

    Args:
        state: bare tensors, without a wrapper's prefix.
        where: names it in errors.

    Raises:
        ValueError: with the key: a model, or half a one, that cannot be run here.
    """
    for pattern, meaning in _REFUSED:
        found = next((key for key in state if re.match(pattern, key)), None)
        if found is not None:
            raise ValueError(f"{where} holds {found}: this is {meaning}; it cannot be run here")
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix(_TEXT)
        if name in plain or (name != key and name in state):
            raise ValueError(f"{where} holds two text towers: {name} and {_TEXT}{name}")
        plain[name] = value
    _require_both(plain, where)
    if "text_projection" in plain and "text_projection.weight" in plain:
        raise ValueError(f"{where} holds two projections of texts: text_projection, and .weight")
    if "text_projection.weight" in plain:  # a linear layer's, which is stored transposed
        plain["text_projection"] = plain.pop("text_projection.weight").T
    mask = plain.pop("attn_mask", None)  # of a TorchScript archive, which keeps every buffer
    if mask is not None and not torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1)):
        raise ValueError(
            f"{where} holds an attn_mask that is not the causal one: it cannot be run here"
        )
    scale = plain.get("logit_scale")
    if scale is not None and scale.shape == (1,):
        plain["logit_scale"] = scale.reshape(())
    return plain


def _require_both(plain: Mapping[str, Tensor], where: str) -> None:
    visual = [key for key in plain if key.startswith("visual.")]
    bare = "conv1.weight" in plain
    if not visual and "token_embedding.weight" in plain:
        raise ValueError(f"{where} holds a text tower alone: a CLIP has an image tower, too")
    if "token_embedding.weight" not in plain and (visual or bare):
        raise ValueError(f"{where} holds an image tower alone: a CLIP has a text tower, too")
    if "visual.class_embedding" in plain and "visual.ln_pre.weight" not in plain:
        raise ValueError(
            f"{where} holds no visual.ln_pre.weight: this is an image tower without the norm "
            "before its blocks, which cannot be run here"
        )
