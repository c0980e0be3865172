"""Features of models in Hugging Face's format are those of the library itself."""

import pytest
import torch
from hugging_face_models import differences, edit, loaded, make, model_config, reloaded, save
from multimode_ot import load_clip

TANH = {"hidden_act": "gelu_pytorch_tanh"}
MODELS = {
    "quick GELU, not said": model_config(),
    "exact GELU": model_config({"hidden_act": "gelu"}, {"hidden_act": "gelu"}),
    "tanh GELU": model_config(TANH, TANH),
    "gelu_new and gelu_fast": model_config({"hidden_act": "gelu_new"}, {"hidden_act": "gelu_fast"}),
    "exact in the image tower": model_config({"hidden_act": "gelu"}),
    "tanh in the text tower": model_config({"hidden_act": "gelu"}, TANH),
    "another eps in each tower": model_config({"layer_norm_eps": 1e-2}, {"layer_norm_eps": 3e-3}),
    "heads of 80, other MLPs": model_config(
        {"hidden_size": 160, "intermediate_size": 698, "hidden_act": "gelu"},
        {"hidden_size": 96, "intermediate_size": 358, "num_attention_heads": 3},
    ),
    "all widths equal": model_config(
        {"hidden_size": 64, "intermediate_size": 64},
        {"hidden_size": 64, "intermediate_size": 64},
        projection_dim=64,
    ),
    "joint width of the image tower": model_config(projection_dim=128),
    "joint width of the text tower": model_config(projection_dim=64),
    "other widths in the towers": model_config({"projection_dim": 7}, {"projection_dim": 9}),
    "an end that old configs say": model_config({}, {"eos_token_id": 2}),
}
TOLERANCE, DOUBLE = 1e-5, 1e-9


def shown(kind: str, name: str, found: tuple[float, float]) -> float:
    print(f"\n{kind:24} {name:34} image {found[0]:.1e}  text {found[1]:.1e}", end="")
    return max(found)


@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_librarys(name, tmp_path):
    folder = save(make(MODELS[name]), tmp_path)
    assert shown("safetensors", name, differences(loaded(folder), reloaded(folder))) < TOLERANCE


@pytest.mark.parametrize("name", ["quick GELU, not said", "all widths equal"])
@pytest.mark.parametrize("kind", ["sharded", "bin", "bin, sharded"])
def test_features_are_the_librarys_whatever_the_files(name, kind, tmp_path):
    folder = save(make(MODELS[name]), tmp_path, kind)
    assert len(list(tmp_path.glob("*model-*-of-*"))) > 2 or "sharded" not in kind
    assert shown(kind, name, differences(loaded(folder), reloaded(folder))) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_it_is(dtype, tmp_path):
    folder = save(make(MODELS["exact GELU"]).to(dtype), tmp_path)
    found = differences(loaded(folder), reloaded(folder))
    assert shown(str(dtype), "exact GELU", found) < TOLERANCE


TWO_DIFFER = ["exact GELU", "tanh GELU", "gelu_new and gelu_fast", "tanh in the text tower"]


@pytest.mark.parametrize("name", TWO_DIFFER)
def test_tanh_and_exact_are_told_apart(name, tmp_path):
    folder = save(make(MODELS[name]), tmp_path)
    found = differences(loaded(folder), reloaded(folder), double=True)
    # Of `gelu_fast`, sqrt(2 / pi) has ten digits.
    assert shown("float64", name, found) < DOUBLE


def test_an_old_override_is_read_as_the_library_does(tmp_path):
    override = model_config({"hidden_act": "gelu"}, {"layer_norm_eps": 1e-2})
    folder = save(make(override), tmp_path)

    def to_old(config):
        config["vision_config_dict"] = override["vision_config"]
        config["text_config_dict"] = override["text_config"]
        config["vision_config"] = {"hidden_act": "relu", "layer_norm_eps": 0.5, "hidden_size": 4}
        config["text_config"] |= {"hidden_act": "gelu"}

    edit(folder, to_old)
    clip = loaded(folder)
    assert shown("override", "", differences(clip, reloaded(folder))) < TOLERANCE
    assert clip.architecture.vision.activation == "gelu"
    assert clip.architecture.text.activation == "quick_gelu"


# What else the same tensors could be taken for.
def exactly(config):
    config["vision_config"]["hidden_act"] = config["text_config"]["hidden_act"] = "gelu"


def usual_eps(config):
    config["vision_config"]["layer_norm_eps"] = config["text_config"]["layer_norm_eps"] = 1e-5


def other_heads(config):
    config["vision_config"]["num_attention_heads"] = 5
    config["text_config"]["num_attention_heads"] = 6


WRONGLY = {
    "quick GELU, not said": exactly,
    "tanh GELU": exactly,
    "another eps in each tower": usual_eps,
    "heads of 80, other MLPs": other_heads,
}


@pytest.mark.parametrize("name", WRONGLY)
def test_what_is_read_wrongly_would_be_seen(name, tmp_path):
    folder = save(make(MODELS[name]), tmp_path)
    model = reloaded(folder)
    found = differences(loaded(edit(folder, WRONGLY[name])), model, double=True)
    shown("read wrongly", name, found)
    assert min(found) > (1e4 * DOUBLE if name == "tanh GELU" else 10 * TOLERANCE)


@pytest.mark.parametrize("swap", ["text_projection", "visual_projection", "query", "ln_pre"])
def test_tensors_in_each_others_place_would_be_seen(swap, tmp_path):
    folder = save(make(MODELS["all widths equal"]), tmp_path)
    model, clip = reloaded(folder), loaded(folder)
    state = {key: value.clone() for key, value in clip.state_dict().items()}
    if swap == "query":
        qkv = state["visual.transformer.resblocks.0.attn.in_proj_weight"].chunk(3)
        state["visual.transformer.resblocks.0.attn.in_proj_weight"] = torch.cat(qkv[::-1])
    elif swap == "ln_pre":
        for leaf in ("weight", "bias"):
            pre, post = f"visual.ln_pre.{leaf}", f"visual.ln_post.{leaf}"
            state[pre], state[post] = state[post], state[pre]
    else:
        key = {"text_projection": "text_projection", "visual_projection": "visual.proj"}[swap]
        state[key] = state[key].t()
    clip.load_state_dict(state)
    assert max(differences(clip, model)) > 100 * TOLERANCE


def test_the_same_model_has_one_identity_in_either_layout(tmp_path):
    folder = save(make(MODELS["heads of 80, other MLPs"]), tmp_path / "hf")
    clip = loaded(folder)
    torch.save(clip.state_dict(), tmp_path / "openai.pt")
    told = {"activation": ("gelu", "quick_gelu"), "head_width": (80, 32)}
    again = load_clip(tmp_path / "openai.pt", **told)
    assert again.identity() == clip.identity()
    sharded = save(make(MODELS["heads of 80, other MLPs"]), tmp_path / "sharded", "bin, sharded")
    assert loaded(sharded).identity() == clip.identity()
    assert loaded(edit(folder, exactly)).identity() != clip.identity()
