"""Configs of open_clip that cannot be run here: refused by their settings, in one line."""

import pytest
from multimode_ot.backbone.formats.open_clip import describe
from open_clip_models import RESNET, model_config


def refusal(config, where="X") -> str:
    with pytest.raises(ValueError) as caught:
        describe(config, where)
    said = str(caught.value)
    assert said.startswith(where) and said.isprintable()
    return said.removeprefix(where)


VISION = {
    "timm_model_name": ("vit_base_patch16_siglip_224", "an image tower of timm (SigLIP's"),
    "attentional_pool": (True, "attentional pooling"),
    "pool_type": ("avg", "the average of patches"),
    "global_average_pool": (True, "pools the average of its patches"),
    "no_ln_pre": (True, "without the norm before its blocks (ln_pre)"),
    "input_patchnorm": (True, "norms its patches"),
    "pos_embed_type": ("rope", "unknown positions"),
    "ls_init_value": (1e-4, "layer scale"),
    "qk_norm": (True, "norms its queries and keys"),
    "scaled_cosine_attn": (True, "cosine attention"),
    "scale_heads": (True, "scales its heads"),
    "scale_attn_inner": (True, "norms inside its attention"),
    "scale_attn": (True, "norms behind its attention"),
    "scale_fc": (True, "norms inside its MLPs"),
    "block_type": ("parallel", "unknown blocks"),
    "act_kwargs": ({"approximate": "erf"}, "{'approximate': 'tanh'} (or 'none') is known"),
    "norm_kwargs": ({"eps": 1e-6, "elementwise_affine": False}, "only eps can be other"),
    "image_size": ([32, 48], "only squares"),
    "patch_size": (7, "image_size 32 is no multiple of 7 pixels"),
    "head_width": (40, "a width of 128 cannot be divided into such heads"),
    "width": (100.0, "a whole number from 1 on"),
    "layers": (True, "a whole number from 1 on"),
    "mlp_ratio": ("4", "a number such as 4.0"),
    "a_new_setting": ("x", "it is not known here what it changes"),
}
TEXT = {
    "hf_model_name": ("roberta-base", "a text tower of Hugging Face's library"),
    "embed_cls": (True, "a class token behind the text"),
    "vocab_size": (32000, "another tokenizer, whose vocabulary has other entries"),
    "hf_tokenizer_name": ("bert-base-uncased", "another tokenizer"),
    "tokenizer_mode": ("clips", "another tokenizer"),
    "tokenizer_kwargs": ({"clean": "canonicalize"}, "texts are prepared in another way"),
    "no_causal_mask": (True, "without a causal mask"),
    "pool_type": ("last", "does not pool at the text's end"),
    "proj_type": ("none", "another projection than a matrix"),
    "proj_bias": (True, "whose projection has a bias"),
    "ls_init_value": (0.1, "layer scale"),
    "heads": (3, "a width of 64 cannot be divided into such heads"),
    "context_length": (0, "a whole number from 1 on"),
    "act_kwargs": ({"inplace": True}, "{'approximate': 'tanh'} (or 'none') is known"),
    "norm_kwargs": ({"eps": "1e-6"}, "only eps can be other"),
    "a_new_setting": (1, "it is not known here what it changes"),
}
ELSEWHERE = {"patch_size": "image_size"}  # where the fault is named


@pytest.mark.parametrize("key", VISION)
def test_an_image_tower_that_cannot_be_run_is_refused_by_its_setting(key):
    value, said = VISION[key]
    found = refusal(model_config({key: value}))
    assert f"vision_cfg.{ELSEWHERE.get(key, key)} " in found and said in found


@pytest.mark.parametrize("key", TEXT)
def test_a_text_tower_that_cannot_be_run_is_refused_by_its_setting(key):
    value, said = TEXT[key]
    found = refusal({"model_cfg": model_config({}, {key: value}), "preprocess_cfg": {}})
    assert f"text_cfg.{key} {value!r}" in found and said in found


def test_a_text_that_ends_otherwise_is_refused():
    assert "text_cfg.eos_id 2: the end of a text" in refusal(model_config({}, {"pool_type": "eos"}))
    describe(model_config({}, {"pool_type": "eos", "eos_id": 49407}), "X")


@pytest.mark.parametrize(
    "model, said",
    [
        (
            {"multimodal_cfg": {"width": 512}},
            "model_cfg.multimodal_cfg {'width': 512}: this is CoC",
        ),
        ({"a_new_setting": 1}, "model_cfg.a_new_setting 1: a setting of which it is not known"),
        ({"quick_gelu": "yes"}, "quick_gelu 'yes': true or false"),
        (model_config({"mlp_ratio": float("inf")}), "vision_cfg.mlp_ratio inf: a number such as"),
        ({"embed_dim": None}, "model_cfg.embed_dim None: a whole number"),
        ({"vision_cfg": 3}, "vision_cfg is 3"),
        ({"text_cfg": None}, "text_cfg is None"),
    ],
)
def test_a_model_is_refused_by_its_setting(model, said):
    assert said in refusal(model_config() | model)


@pytest.mark.parametrize(
    "seen, said",
    [
        ({"resize_mode": "longest"}, "resize_mode 'longest': this is a model that sees whole ima"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos': one of bicubic, bilinear"),
        ({"mean": [0.5, 0.5]}, "mean [0.5, 0.5]: three numbers"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean [0.5, 0.5, nan]: three numbers"),
        ({"std": float("inf")}, "std inf: three numbers"),
        ({"interpolation": ["bicubic"]}, "interpolation ['bicubic']: one of bicubic"),
        ({"mean": 0}, "mean 0: three numbers"),
        ({"std": [0.5, 0.5, 0]}, "std [0.5, 0.5, 0]: three numbers"),
        ({"mode": "L"}, "mode 'L': this is a model of other than three colours"),
        ({"crop_pct": 0.9}, "crop_pct 0.9: a setting of which it is not known"),
    ],
)
def test_images_that_cannot_be_made_are_refused_by_their_setting(seen, said):
    found = refusal({"model_cfg": model_config(), "preprocess_cfg": seen})
    assert found.startswith(": preprocess_cfg.") and said in found


def test_what_is_no_config_at_all_is_refused():
    assert "is no config of open_clip: model_cfg is missing" in refusal({"preprocess_cfg": {}})
    assert ": model_type 'clip': a setting" in refusal({"model_type": "clip"})
    assert "has no embed_dim" in refusal({"model_cfg": {"vision_cfg": {}, "text_cfg": {}}})
    tanh = {"act_kwargs": {"approximate": "tanh"}}
    assert "with quick_gelu" in refusal(model_config(tanh, quick_gelu=True))
    assert "four stages" in refusal(model_config(RESNET | {"layers": [1, 2]}))
    assert "no multiple of 32" in refusal(model_config(RESNET | {"image_size": 80}))


def test_what_changes_nothing_is_taken():
    vision = {"final_ln_after_pool": True, "patch_dropout": 0.5, "timm_pool": "avg"}
    vision |= {"image_size": [32, 32], "patch_size": [8, 8], "attentional_pool": False}
    text = {"tokenizer_kwargs": {"clean": "lower"}, "pad_id": 1, "hf_model_name": None}
    text |= {"hf_tokenizer_name": "openai/clip-vit-base-patch32", "final_ln_after_pool": True}
    model = {"custom_text": True, "init_logit_bias": -10, "cast_dtype": None, "quick_gelu": None}
    seen = {"size": 99, "fill_color": 3, "mode": "RGB", "mean": None, "interpolation": "random"}
    told = {"model_cfg": model_config(vision, text, **model), "preprocess_cfg": seen}
    assert describe(told, "X") == describe(model_config(), "X")
