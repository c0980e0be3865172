"""The keys of open_clip's configs: the library's defaults, what changes no feature, and what is
refused because no tower here can be that."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten
from typing import Any, NamedTuple

from ..architecture import OPENAI_MEAN, OPENAI_STD
from .shapes import VOCABULARY

EOS = VOCABULARY - 1  # the tokenizer's last entry, and so the highest number of a text
TOKENIZERS = (  # all of them the one of OpenAI's package
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-large-patch14",
    "openai/clip-vit-large-patch14-336",
)
# What the library takes where a config is silent.
DEFAULTS: dict[str, dict[str, Any]] = {
    "model_cfg": {"quick_gelu": False},
    "vision_cfg": {
        "layers": 12,
        "width": 768,
        "head_width": 64,
        "mlp_ratio": 4.0,
        "patch_size": 16,
        "image_size": 224,
        "act_kwargs": None,
        "norm_kwargs": None,
    },
    "text_cfg": {
        "context_length": 77,
        "width": 512,
        "heads": 8,
        "layers": 12,
        "mlp_ratio": 4.0,
        "eos_id": 2,
        "act_kwargs": None,
        "norm_kwargs": None,
    },
    "preprocess_cfg": {
        "mean": OPENAI_MEAN,
        "std": OPENAI_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}
# They change no feature, whatever their value: initialisations, losses, training, outputs beside
# the features, and what only parts read that are refused below. A norm commutes with the choice of
# one token, so that it does not matter which comes first. The size to which images are made is the
# tower's, and the colour of a border has no border.
NEUTRAL = {
    "file": set(),
    "model_cfg": {
        *("init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"),
        *("cast_dtype", "output_dict", "custom_text"),
    },
    "vision_cfg": {
        *("patch_dropout", "output_tokens", "final_ln_after_pool"),
        *("attn_pooler_queries", "n_queries", "attn_pooler_heads"),
        *("timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias"),
        *("timm_drop", "timm_drop_path"),
    },
    "text_cfg": {
        *("output_tokens", "final_ln_after_pool", "pad_id"),
        *("hf_model_pretrained", "hf_proj_type", "hf_pooler_type"),
    },
    "preprocess_cfg": {"size", "fill_color"},
}
READ = {
    "file": {"model_cfg", "preprocess_cfg"},
    "model_cfg": {"embed_dim", "vision_cfg", "text_cfg", *DEFAULTS["model_cfg"]},
    **{section: set(DEFAULTS[section]) for section in ("vision_cfg", "text_cfg", "preprocess_cfg")},
}


class Only(NamedTuple):
    """The values under which a key changes nothing, and what others make of the model."""

    values: tuple[Any, ...]
    else_it_is: str


_OFF = (None, False)
_BLOCKS = {
    "ls_init_value": Only((None,), "a tower with layer scale"),
    "qk_norm": Only(_OFF, "a tower that norms its queries and keys"),
    "scaled_cosine_attn": Only(_OFF, "a tower with cosine attention"),
    "scale_heads": Only(_OFF, "a tower that scales its heads"),
    "scale_attn_inner": Only(_OFF, "a tower with norms inside its attention"),
    "scale_attn": Only(_OFF, "a tower with norms behind its attention"),
    "scale_fc": Only(_OFF, "a tower with norms inside its MLPs"),
    "block_type": Only((None, "default", "custom"), "a tower of unknown blocks"),
}
# In the order in which they are looked at: what tells most comes first.
ONLY: dict[str, dict[str, Only]] = {
    "model_cfg": {"multimodal_cfg": Only((None,), "CoCa, a model that also writes captions")},
    "vision_cfg": {
        "timm_model_name": Only(
            (None, ""), "an image tower of timm (SigLIP's, EVA's, ConvNeXt's and others)"
        ),
        "attentional_pool": Only(_OFF, "a tower with attentional pooling, such as CoCa's"),
        "pool_type": Only(
            ("tok",),
            "a tower that pools otherwise than by its class token, such as the average of patches",
        ),
        "global_average_pool": Only(_OFF, "a tower that pools the average of its patches"),
        "no_ln_pre": Only(_OFF, "a tower without the norm before its blocks (ln_pre)"),
        "input_patchnorm": Only(_OFF, "a tower that norms its patches"),
        "pos_embed_type": Only(("learnable", "sin_cos_2d"), "a tower with unknown positions"),
        **_BLOCKS,
    },
    "text_cfg": {
        "hf_model_name": Only((None, ""), "a text tower of Hugging Face's library"),
        "embed_cls": Only(_OFF, "a text tower with a class token behind the text, such as CoCa's"),
        "vocab_size": Only(
            (VOCABULARY,), "a model with another tokenizer, whose vocabulary has other entries"
        ),
        "hf_tokenizer_name": Only((None, "", *TOKENIZERS), "a model with another tokenizer"),
        "tokenizer_mode": Only((None,), "a model with another tokenizer"),
        "tokenizer_kwargs": Only(
            (None, {}, {"clean": "lower"}), "a model whose texts are prepared in another way"
        ),
        "no_causal_mask": Only(_OFF, "a text tower without a causal mask"),
        "pool_type": Only(("argmax", "eos"), "a text tower that does not pool at the text's end"),
        "proj_type": Only(("linear", None), "a text tower with another projection than a matrix"),
        "proj_bias": Only(_OFF, "a text tower whose projection has a bias"),
        **_BLOCKS,
    },
    "preprocess_cfg": {
        "mode": Only(("RGB", None), "a model of other than three colours"),
        "resize_mode": Only(
            ("shortest", "squash", None), "a model that sees whole images with a border"
        ),
    },
}


def checked(config: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The parts of a config, completed by the library's defaults.

    Args:
        config: `model_cfg` and maybe `preprocess_cfg`.
        where: names it in errors.

    Raises:
        ValueError: a key that is unknown or has a value which no tower here can be; a part that is
            missing or none.
    """
    _require_known("file", config, where)
    model = _part(config, "model_cfg", where)
    parts = {"model_cfg": model}
    for section in ("vision_cfg", "text_cfg"):
        parts[section] = _part(model, section, where)
    seen = _part({"preprocess_cfg": {}} | dict(config), "preprocess_cfg", where)
    # The library takes none for not given here.
    parts["preprocess_cfg"] = {k: v for k, v in seen.items() if v is not None}
    for section, part in parts.items():
        for key, (values, else_it_is) in ONLY[section].items():
            if key in part and part[key] not in values:
                usual = " or ".join(repr(value) for value in values if value not in (None, "", {}))
                raise ValueError(
                    f"{where}: {section}.{key} {shorten(repr(part[key]), 60)}: this is "
                    f"{else_it_is}; it cannot be run here{f' ({usual} can)' if usual else ''}"
                )
        _require_known(section, part, where)
    parts = {section: {**DEFAULTS[section], **part} for section, part in parts.items()}
    text = parts["text_cfg"]
    if text.get("pool_type") == "eos" and text["eos_id"] != EOS:
        raise ValueError(
            f"{where}: text_cfg.eos_id {text['eos_id']!r}: the end of a text is {EOS} with the "
            "tokenizer here"
        )
    if "embed_dim" not in model:
        raise ValueError(f"{where}: its model_cfg has no embed_dim")
    return parts


def _part(config: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    if not isinstance(config.get(key), Mapping):
        found = repr(config[key]) if key in config else "missing"
        raise ValueError(f"{where} is no config of open_clip: {key} is {found}")
    return dict(config[key])


def _require_known(section: str, part: Mapping[str, Any], where: str) -> None:
    known = READ[section] | NEUTRAL[section] | set(ONLY.get(section, ()))
    unknown = [key for key in part if key not in known]
    if unknown:
        key = f"{unknown[0]}" if section == "file" else f"{section}.{unknown[0]}"
        raise ValueError(
            f"{where}: {key} {part[unknown[0]]!r}: a setting of which it is not known here what "
            "it changes"
        )
