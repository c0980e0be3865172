"""What a `config.json` of Hugging Face's CLIP says. Every key of it is read, known to change no
feature, or refused. Nothing here needs torch or transformers.

Source: `CLIPConfig`, `CLIPTextConfig`, `CLIPVisionConfig` and `PreTrainedConfig` of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..architecture import Architecture, Shape, Tower
from .hugging_face_images import preprocessing

# What the library takes for keys that are absent.
PROJECTION = 512
_BOTH = {
    "projection_dim": PROJECTION,
    "num_hidden_layers": 12,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "initializer_factor": 1.0,
}
TEXT = _BOTH | {
    "model_type": "clip_text_model",
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "pad_token_id": 1,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
VISION = _BOTH | {
    "model_type": "clip_vision_model",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
}
# Its names of activations, and ours. Left out are those that are another function: `gelu_10` cuts
# GELU off at 10, `silu` has no 1.702.
ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
}
# The end of a text is where the id 49407 stands first. With 2 (of old configs) it is where the
# highest id stands first, which is the same.
ENDS = (2, 49407)
# What all configs of the library may have, of whatever model: dropout and initialisation, what is
# said of the file, what a call returns, and settings of text generation, which release 4 wrote.
_GENERIC = """
_attn_implementation _attn_implementation_autoset _commit_hash _name_or_path
add_cross_attention architectures attention_dropout attn_implementation bad_words_ids
begin_suppress_tokens bos_token_id chunk_size_feed_forward cross_attention_hidden_size
decoder_start_token_id diversity_penalty do_sample dropout dtype early_stopping
encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
forced_bos_token_id forced_eos_token_id gradient_checkpointing id2label initializer_factor
initializer_range is_decoder is_encoder_decoder label2id length_penalty
logit_scale_init_value max_length min_length model_type name_or_path no_repeat_ngram_size
num_beam_groups num_beams num_labels num_return_sequences output_attentions
output_hidden_states output_scores pad_token_id prefix problem_type projection_dim
remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id
suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder
tie_last_hidden_states tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript
transformers_version typical_p use_bfloat16 use_cache
"""
GENERIC = frozenset(_GENERIC.split())
# These change a model, unless they are empty.
EMPTY = frozenset(
    [
        "adapters",
        "auto_map",
        "per_layer_config",
        "pruned_heads",
        "quantization_config",
        "transformers_weights",
    ]
)
_WHOLE = frozenset(
    ["text_config", "vision_config", "text_config_dict", "vision_config_dict", "vocab_size"]
)
HALVES = {"CLIPTextModel": "a text tower alone", "CLIPVisionModel": "an image tower alone"}


def describe(
    config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None, where: str
) -> Architecture:
    """What runs the weights beside a `config.json`, and the shape that they must have.

    Args:
        config: its content.
        preprocessor: that of `preprocessor_config.json`, or what `processor_config.json` holds
            under `image_processor`; None where there is neither.
        where: names the config in errors.

    Raises:
        ValueError: with the key and its value: a model that is none that runs here.
    """
    _require_clip(config, where)
    vision = tower_config(config, "vision", where)
    text = tower_config(config, "text", where)
    if text["vocab_size"] != TEXT["vocab_size"]:
        raise ValueError(
            f"{where}: text_config.vocab_size {text['vocab_size']!r}: the tokenizer here has "
            f"{TEXT['vocab_size']} entries, and a model with another one cannot be used"
        )
    end = text["eos_token_id"]
    if isinstance(end, bool) or end not in ENDS:
        raise ValueError(
            f"{where}: text_config.eos_token_id {end!r}: the end of a text is the id 49407 here "
            "(old configs say 2 for it)"
        )
    if vision["num_channels"] != 3:
        raise ValueError(
            f"{where}: vision_config.num_channels {vision['num_channels']!r}: images have 3 here"
        )
    projection = config.get("projection_dim", PROJECTION)
    shape = Shape(
        embed=_positive(projection, "projection_dim", where),
        resolution=_size(vision, "image_size", where),
        patch=_size(vision, "patch_size", where),
        vision_width=_size(vision, "hidden_size", where),
        vision_layers=_size(vision, "num_hidden_layers", where),
        vision_hidden=_size(vision, "intermediate_size", where),
        text_width=_size(text, "hidden_size", where),
        text_layers=_size(text, "num_hidden_layers", where),
        text_hidden=_size(text, "intermediate_size", where),
        context_length=_size(text, "max_position_embeddings", where),
    )
    if shape.resolution % shape.patch:
        raise ValueError(
            f"{where}: vision_config.image_size {shape.resolution} is no multiple of its "
            f"patch_size {shape.patch}: patches here fill an image"
        )
    seen, reason = preprocessing(preprocessor, shape.resolution)
    return Architecture(
        _tower(vision, where), _tower(text, where), seen, shape, no_preprocessing=reason
    )


def _require_clip(config: Mapping[str, Any], where: str) -> None:
    kind = config.get("model_type")
    if kind != "clip":
        raise ValueError(
            f"{where}: model_type {kind!r}: only Hugging Face's own CLIP, 'clip', runs here"
        )
    classes = config.get("architectures")
    if classes not in (None, [], ["CLIPModel"], "CLIPModel"):
        half = next(
            (what for name, what in HALVES.items() if name in str(classes)), "another model"
        )
        raise ValueError(
            f"{where}: architectures {classes!r}: {half}, and a whole CLIPModel is wanted"
        )
    _require_known_keys(config, GENERIC | _WHOLE, "", where)


def tower_config(config: Mapping[str, Any], side: str, where: str) -> dict[str, Any]:
    """The keys of a tower's config as the library resolves them.

    An old `{side}_config_dict` is completed with defaults, and all keys that it then has win over
    those of `{side}_config`.
    """
    defaults = TEXT if side == "text" else VISION
    parts = []
    for name in (f"{side}_config", f"{side}_config_dict"):
        part = config.get(name)
        if part is not None and not isinstance(part, Mapping):
            raise ValueError(f"{where}: {name} {part!r}: the keys of a tower are wanted")
        parts.append(part)
    given, override = parts
    found = {**defaults, **(given or {})}
    if override is not None:
        found |= {**defaults, **override}
    _require_known_keys(found, GENERIC | set(defaults), f"{side}_config.", where)
    if found["model_type"] not in (defaults["model_type"], "clip", ""):
        raise ValueError(
            f"{where}: {side}_config.model_type {found['model_type']!r}: the {side} tower is no "
            f"{defaults['model_type']}"
        )
    return found


def _require_known_keys(
    config: Mapping[str, Any], known: frozenset[str], prefix: str, where: str
) -> None:
    for key, value in config.items():
        if key not in known and not (key in EMPTY and not value):
            raise ValueError(
                f"{where}: {prefix}{key} {value!r}: no key of Hugging Face's CLIP, or one that "
                "changes what it computes; if it does not, take it out of the file"
            )


def _tower(config: Mapping[str, Any], where: str) -> Tower:
    side = "vision_config" if "patch_size" in config else "text_config"
    activation, eps = config["hidden_act"], config["layer_norm_eps"]
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"{where}: {side}.hidden_act {activation!r}: the activations that run here are "
            f"{', '.join(ACTIVATIONS)}"
        )
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
        raise ValueError(f"{where}: {side}.layer_norm_eps {eps!r}: a number such as 1e-5 is wanted")
    width = _size(config, "hidden_size", where)
    heads = _size(config, "num_attention_heads", where)
    if width % heads:
        raise ValueError(
            f"{where}: {side}.num_attention_heads {heads} does not divide its hidden_size {width}"
        )
    return Tower(ACTIVATIONS[activation], width // heads, float(eps))


def _size(config: Mapping[str, Any], key: str, where: str) -> int:
    side = "vision_config" if "patch_size" in config else "text_config"
    return _positive(config[key], f"{side}.{key}", where)


def _positive(value: Any, key: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{where}: {key} {value!r}: a whole number above 0 is wanted")
    return value
