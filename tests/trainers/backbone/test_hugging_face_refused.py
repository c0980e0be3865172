"""Folders in Hugging Face's format that are damaged, half there, or of another model."""

import json

import pytest
import torch
from hugging_face_models import edit, loaded, make, model_config, save, transformers
from multimode_ot.backbone.formats.hugging_face import read, weights_of
from multimode_ot.backbone.formats.hugging_face_keys import is_hugging_face, to_openai
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="module")
def state():
    return make(model_config()).state_dict()


@pytest.fixture
def folder(tmp_path):
    return save(make(model_config()), tmp_path / "model")


def refusal(folder, kind=ValueError) -> str:
    with pytest.raises(kind) as caught:
        loaded(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


SIZES = [
    ("text_config", "hidden_size", 128, "text width 128, and its weights have 64"),
    ("text_config", "intermediate_size", 256, "text hidden 256, and its weights have 192"),
    ("text_config", "num_hidden_layers", 3, "text layers 3, and its weights have 2"),
    ("text_config", "max_position_embeddings", 32, "context length 32, and its weights have 77"),
    ("vision_config", "hidden_size", 64, "vision width 64, and its weights have 128"),
    ("vision_config", "intermediate_size", 512, "vision hidden 512, and its weights have 200"),
    ("vision_config", "num_hidden_layers", 1, "vision layers 1, and its weights have 2"),
    ("vision_config", "image_size", 64, "resolution 64, and its weights have 32"),
    ("vision_config", "patch_size", 16, "patch 16, and its weights have 8"),
    ("", "projection_dim", 512, "embed 512, and its weights have 48"),
]


@pytest.mark.parametrize(
    ("part", "key", "value", "said"), SIZES, ids=[f"{s[0]}.{s[1]}" for s in SIZES]
)
def test_a_config_of_another_model_than_the_weights(folder, part, key, value, said):
    edit(folder, lambda config: (config[part] if part else config).__setitem__(key, value))
    message = refusal(folder)
    assert said in message and "different models" in message


def test_weights_whose_vocabulary_is_another(folder):
    file = folder / "model.safetensors"
    state = load_file(file)
    key = "text_model.embeddings.token_embedding.weight"
    save_file(state | {key: state[key][:1000].clone()}, file)
    assert "1000" in refusal(folder) and "tokenizer" in refusal(folder)


def test_damaged_weights_are_named(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    assert refusal(folder).startswith(str(file)) and "cut" in refusal(folder)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "git-lfs" in refusal(folder)


@pytest.mark.parametrize("kind", ["sharded", "bin, sharded"])
def test_half_a_sharded_folder(tmp_path, kind):
    folder = save(make(model_config()), tmp_path, kind)
    lost = sorted(folder.glob("*-of-*"))[1]
    lost.unlink()
    assert "missing" in refusal(folder) and lost.name in refusal(folder)
    next(folder.glob("*.index.json")).unlink()
    message = refusal(folder, FileNotFoundError)
    assert "no weights beside it: model.safetensors, model.safetensors.index.json" in message
    assert sorted(folder.glob("*-of-*"))[0].name in message


@pytest.mark.parametrize("content", ["{", "[1]", "version https://git-lfs"])
def test_a_config_that_is_none(folder, content):
    (folder / "config.json").write_text(content)
    assert refusal(folder).startswith(str(folder / "config.json"))


def test_a_folder_without_a_config(folder):
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder, FileNotFoundError)


def test_an_adapter_is_not_passed_over(folder):
    (folder / "adapter_config.json").write_text("{}")
    assert "adapter_config.json" in refusal(folder)


def test_the_order_of_files_is_the_librarys(folder, tmp_path):
    content = (folder / "model.safetensors").read_bytes()
    names = (
        "pytorch_model.bin.index.json",
        "pytorch_model.bin",
        "model.safetensors.index.json",
        "model.safetensors",
    )
    (tmp_path / "other").mkdir()
    for name in names:
        (tmp_path / "other" / name).write_bytes(content)
        assert weights_of(tmp_path / "other").name == name


def test_weights_may_be_named(folder):
    (folder / "model.safetensors").rename(folder / "last")
    weights = read(folder, folder / "last", "mine")
    assert weights.name == "mine" and "visual.proj" in weights.state


LIBRARYS = {
    "text alone": ("CLIPTextModelWithProjection", "text_config", "a text tower alone"),
    "image alone": ("CLIPVisionModelWithProjection", "vision_config", "an image tower alone"),
}


@pytest.mark.parametrize("name", LIBRARYS)
def test_half_a_clip_by_its_config_and_by_its_keys(name, tmp_path):
    kind, part, said = LIBRARYS[name]
    config = transformers.CLIPConfig.from_dict(model_config())
    model = getattr(transformers, kind)(getattr(config, part))
    model.save_pretrained(tmp_path)
    assert f"model_type 'clip_{'text' if 'Text' in kind else 'vision'}_model'" in refusal(tmp_path)
    edit(tmp_path, lambda config: config.__setitem__("model_type", "clip"))
    assert said in refusal(tmp_path)
    with pytest.raises(ValueError, match=r"has no (text|image) tower"):
        to_openai(model.state_dict(), "there")


def test_siglip_is_refused_by_its_config_and_by_its_keys(tmp_path):
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
    small["num_attention_heads"] = 2
    vision = small | {"image_size": 32, "patch_size": 8}
    text = small | {"vocab_size": 100, "projection_size": 64}
    config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    model = transformers.SiglipModel(config)
    model.save_pretrained(tmp_path)
    assert "model_type 'siglip'" in refusal(tmp_path)
    with pytest.raises(ValueError, match="SigLIP"):
        to_openai(model.state_dict(), "there")
    state = {k: v for k, v in model.state_dict().items() if ".head." not in k}
    with pytest.raises(ValueError, match="SigLIP"):
        to_openai(state, "there")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("classifier.weight", "a classifier"),
        ("vision_model.encoder.layers.0.layer_scale1.weight", "layer_scale1"),
        ("text_model.encoder.layers.0.self_attn.q_proj.scale", "q_proj.scale"),
        ("text_model.head.weight", "text_model.head.weight"),
        ("text_projection.bias", "text_projection.bias"),
    ],
)
def test_tensors_that_a_clip_has_not_are_refused_by_name(state, key, said):
    with pytest.raises(ValueError, match=rf"^there is not .*{said}"):
        to_openai(state | {key: torch.zeros(2)}, "there")


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj"])
def test_attention_that_is_not_whole_is_refused(state, name):
    key = f"text_model.encoder.layers.1.self_attn.{name}.bias"
    with pytest.raises(ValueError, match=rf"lacks \['{key}'\]"):
        to_openai({k: v for k, v in state.items() if k != key}, "there")
    with pytest.raises(ValueError, match=rf"{key}.* have different sizes"):
        to_openai(state | {key: torch.zeros(3)}, "there")


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj"])
def test_one_of_whole_numbers_beside_the_others_is_refused(state, name):
    key = f"text_model.encoder.layers.1.self_attn.{name}.weight"
    with pytest.raises(ValueError, match=f"^there is not .*{key} is a tensor of torch.int8"):
        to_openai(state | {key: state[key].to(torch.int8)}, "there")


def test_what_is_no_tensor_is_refused(state):
    with pytest.raises(ValueError, match="there is not a CLIP state dict: 'epoch'"):
        to_openai(state | {"epoch": 3}, "there")


def test_indices_are_left_out_and_dtypes_kept(state):
    old = {k: v.half() for k, v in state.items()}
    old["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    old["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    found = to_openai(old, "there")
    assert len(found) == len(to_openai(state, "there"))
    assert {v.dtype for v in found.values()} == {torch.float16}
    assert is_hugging_face(state) and not is_hugging_face(found)


def test_a_processors_file_that_is_damaged_is_named(folder):
    (folder / "processor_config.json").write_text(json.dumps([1]))
    assert refusal(folder).startswith(str(folder / "processor_config.json"))
