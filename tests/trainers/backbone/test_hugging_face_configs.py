"""What a `config.json` says is resolved as transformers does; what it cannot be here is refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hugging_face_models import (
    differences,
    edit,
    loaded,
    make,
    model_config,
    reloaded,
    save,
    transformers,
)
from multimode_ot.backbone.architecture import Shape, Tower
from multimode_ot.backbone.formats.hugging_face_config import (
    ACTIVATIONS,
    EMPTY,
    GENERIC,
    TEXT,
    VISION,
    describe,
    tower_config,
)

FUNCTIONS = {
    "quick_gelu": lambda x: x / (1 + torch.exp(-1.702 * x)),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}
TOWERS = {"text": (TEXT, "CLIPTextConfig"), "vision": (VISION, "CLIPVisionConfig")}
# What release 4 wrote into a model's config and into those of both towers.
OLD = {
    "_name_or_path": "",
    "add_cross_attention": False,
    "architectures": None,
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "bos_token_id": 0,
    "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None,
    "decoder_start_token_id": None,
    "diversity_penalty": 0.0,
    "do_sample": False,
    "dropout": 0.0,
    "early_stopping": False,
    "encoder_no_repeat_ngram_size": 0,
    "eos_token_id": 2,
    "exponential_decay_length_penalty": None,
    "finetuning_task": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "is_decoder": False,
    "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "length_penalty": 1.0,
    "max_length": 20,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "pad_token_id": 1,
    "prefix": None,
    "problem_type": None,
    "pruned_heads": {},
    "remove_invalid_values": False,
    "repetition_penalty": 1.0,
    "return_dict": True,
    "return_dict_in_generate": False,
    "sep_token_id": None,
    "suppress_tokens": None,
    "task_specific_params": None,
    "temperature": 1.0,
    "tf_legacy_loss": False,
    "tie_encoder_decoder": False,
    "tie_word_embeddings": True,
    "tokenizer_class": None,
    "top_k": 50,
    "top_p": 1.0,
    "torch_dtype": None,
    "torchscript": False,
    "transformers_version": "4.21.0.dev0",
    "typical_p": 1.0,
    "use_bfloat16": False,
}


def whole(**changes) -> dict:
    return {"model_type": "clip", "architectures": ["CLIPModel"]} | model_config() | changes


@pytest.mark.parametrize("side", TOWERS)
def test_absent_keys_are_what_the_library_takes_for_them(side):
    defaults, kind = TOWERS[side]
    own = getattr(transformers, kind)()
    assert {key: getattr(own, key) for key in defaults} == defaults
    assert set(own.to_dict()) - set(defaults) <= GENERIC | EMPTY


def test_a_config_that_says_nothing_is_the_librarys_default():
    architecture = describe({"model_type": "clip"}, None, "x")
    assert architecture.vision == architecture.text == Tower("quick_gelu", 64)
    assert architecture.shape == Shape(512, 224, 32, 768, 12, 3072, 512, 12, 2048)


RESOLVED = {
    "nothing": {},
    "empty": {"text_config": {}, "vision_config": {}},
    "null": {"text_config": None, "vision_config": None, "text_config_dict": None},
    "plain": {"text_config": {"hidden_size": 64}, "vision_config": {"patch_size": 16}},
    "override": {"text_config": {"hidden_size": 64}, "text_config_dict": {"hidden_size": 32}},
    "override of one key": {
        "text_config": {"hidden_size": 64, "hidden_act": "gelu", "eos_token_id": 2},
        "text_config_dict": {"num_hidden_layers": 3},
    },
    "empty override": {"vision_config": {"image_size": 8}, "vision_config_dict": {}},
    "override alone": {"vision_config_dict": {"hidden_act": "gelu", "layer_norm_eps": 1e-6}},
    "override of the other tower": {
        "text_config": {"hidden_size": 64},
        "vision_config": {"hidden_size": 48, "hidden_act": "gelu"},
        "text_config_dict": {"hidden_act": "gelu_new"},
    },
    "old": {"text_config": OLD | {"hidden_size": 64}, "vision_config": OLD},
}


@pytest.mark.parametrize("case", RESOLVED)
@pytest.mark.parametrize("side", TOWERS)
def test_towers_are_resolved_as_the_library_does(case, side):
    config = RESOLVED[case] | {"model_type": "clip"}
    theirs = transformers.CLIPConfig.from_dict(copy.deepcopy(config))
    own = getattr(theirs, f"{side}_config")
    found = tower_config(config, side, "x")
    assert {key: found[key] for key in TOWERS[side][0]} == {
        key: getattr(own, key) for key in TOWERS[side][0]
    }
    assert describe(config, None, "x").shape.embed == theirs.projection_dim == 512


def test_the_joint_width_is_said_at_the_top_alone():
    config = whole(projection_dim=32, text_config={"projection_dim": 7})
    assert transformers.CLIPConfig.from_dict(config).projection_dim == 32
    assert describe(config, None, "x").shape.embed == 32


def test_each_name_of_an_activation_is_what_it_computes():
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.linspace(-1, 1, 201)]).double()
    for name in transformers.activations.ACT2FN:
        with torch.no_grad():
            y = transformers.activations.ACT2FN[name].double()(x)
        near = [word for word, f in FUNCTIONS.items() if (f(x) - y).abs().max() < 1e-9]
        assert near == ([ACTIVATIONS[name]] if name in ACTIVATIONS else []), name
        if name not in ACTIVATIONS:
            with pytest.raises(ValueError, match=f"text_config.hidden_act '{name}'"):
                describe(whole(text_config={"hidden_act": name}), None, "x")
    assert set(ACTIVATIONS) <= set(transformers.activations.ACT2FN)


def test_a_config_that_release_4_wrote_is_read():
    config = OLD | whole(
        text_config=OLD | {"model_type": "clip_text_model", "hidden_act": "gelu"},
        vision_config=OLD | {"model_type": "clip_vision_model"},
        text_config_dict=None,
        vision_config_dict=None,
        _commit_hash=None,
        torch_dtype="float32",
    )
    assert describe(config, None, "x").text == Tower("gelu", 64)


def test_what_is_known_to_change_nothing_changes_nothing_in_the_library(tmp_path):
    folder = save(make(model_config()), tmp_path)
    clip = loaded(folder)

    def oddly(config):
        odd = {
            "attention_dropout": 0.5,
            "dropout": 0.5,
            "bos_token_id": 3,
            "pad_token_id": 4,
            "chunk_size_feed_forward": 2,
            "is_decoder": True,
            "add_cross_attention": True,
            "initializer_factor": 9.0,
            "tie_word_embeddings": True,
            "gradient_checkpointing": True,
            "use_cache": False,
            "num_beams": 4,
            "max_length": 3,
            "num_labels": 5,
            "use_bfloat16": True,
            "torchscript": True,
            "tie_last_hidden_states": False,
        }
        for part in (config, config["text_config"], config["vision_config"]):
            part |= odd
        config |= {"eos_token_id": 5, "logit_scale_init_value": 1.0}

    edit(folder, oddly)
    assert loaded(folder).identity() == clip.identity()
    assert max(differences(clip, reloaded(folder))) < 1e-5


REFUSED = [
    ({"model_type": "siglip"}, "model_type 'siglip'"),
    ({"model_type": "chinese_clip"}, "model_type 'chinese_clip'"),
    ({"model_type": "clip_text_model"}, "model_type 'clip_text_model'"),
    ({"model_type": None}, "model_type None"),
    ({"architectures": ["CLIPTextModelWithProjection"]}, "a text tower alone"),
    ({"architectures": ["CLIPVisionModel"]}, "an image tower alone"),
    ({"architectures": ["CLIPForImageClassification"]}, "'CLIPForImageClassification'"),
    ({"architectures": 3}, "architectures 3"),
    ({"text_config": [1]}, r"text_config \[1\]"),
    ({"vision_config_dict": "x"}, "vision_config_dict 'x'"),
    ({"text_config": {"vocab_size": 250002}}, "vocab_size 250002"),
    ({"text_config": {"eos_token_id": 49406}}, "eos_token_id 49406"),
    ({"text_config": {"eos_token_id": [49407]}}, r"eos_token_id \[49407\]"),
    ({"text_config": {"eos_token_id": None}}, "eos_token_id None"),
    ({"text_config": {"is_causal": False}}, "text_config.is_causal False"),
    ({"text_config": {"model_type": "bert"}}, "text_config.model_type 'bert'"),
    ({"text_config": {"hidden_act": None}}, "text_config.hidden_act None"),
    ({"vision_config": {"hidden_act": "gelu_10"}}, "vision_config.hidden_act 'gelu_10'"),
    ({"vision_config": {"num_channels": 4}}, "num_channels 4"),
    ({"vision_config": {"image_size": 225}}, "image_size 225 is no multiple"),
    ({"vision_config": {"image_size": [224, 224]}}, r"image_size \[224, 224\]"),
    ({"vision_config": {"use_head": True}}, "vision_config.use_head True"),
    ({"vision_config": {"hidden_size": "768"}}, "vision_config.hidden_size '768'"),
    ({"vision_config": {"num_hidden_layers": 0}}, "vision_config.num_hidden_layers 0"),
    ({"vision_config": {"num_attention_heads": 7}}, "vision_config.num_attention_heads 7"),
    ({"text_config": {"layer_norm_eps": None}}, "text_config.layer_norm_eps None"),
    ({"text_config": {"layer_norm_eps": 0.0}}, "text_config.layer_norm_eps 0.0"),
    ({"text_config": {"per_layer_config": {"0": {}}}}, "text_config.per_layer_config"),
    ({"projection_dim": None}, "projection_dim None"),
    ({"quantization_config": {"bits": 8}}, "quantization_config"),
    ({"auto_map": {"AutoModel": "mine.Model"}}, "auto_map"),
    ({"use_colours": 3}, "use_colours 3: no key of"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cannot_be_run_is_refused_by_its_name(change, said):
    with pytest.raises(ValueError, match=rf"^there: .*{said}") as caught:
        describe(whole() | change, None, "there")
    assert "\n" not in str(caught.value)
