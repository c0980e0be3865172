"""Tensors and folders of open_clip that cannot be run here: said in one line."""

import json
import shutil
import warnings

import pytest
import torch
from filled_models import inputs
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.formats.open_clip import CONFIG, read, weights_in
from multimode_ot.backbone.formats.open_clip_keys import to_openai
from open_clip_models import RESNET, make, model_config, save
from random_clip import random_state


def line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tensors by their keys

KEYS = {
    "visual.trunk.blocks.0.attn.qkv.weight": "an image tower of timm",
    "visual.attn_pool.query": "attentional pooling",
    "visual.transformer.resblocks.0.ls_1.gamma": "layer scale",
    "transformer.resblocks.1.ls_2.gamma": "layer scale",
    "text_decoder.resblocks.0.ln_1.weight": "CoCa",
    "text.cls_emb": "a class token behind the text",
    "text.transformer.embeddings.word_embeddings.weight": "Hugging Face's library",
    "text.transformer.encoder.layer.0.attention.self.query.weight": "Hugging Face's library",
    "text.proj.0.weight": "Hugging Face's library",
    "visual.rope.freqs_cos": "EVA's image tower",
    "visual.blocks.0.attn.q_proj.weight": "EVA's image tower",
    "visual.transformer.resblocks.0.attn.ln_q.weight": "further norms or scales",
    "transformer.resblocks.0.mlp.ln.weight": "further norms or scales",
    "text.text_projection.bias": "whose projection has a bias",
    "vision_model.embeddings.class_embedding": "Hugging Face's layout",
    "image_encoder.model.patch_embed.0.weight": "MobileCLIP's layout",
    "text.ln_final.weight": "two text towers: ln_final.weight and text.ln_final.weight",
}


@pytest.mark.parametrize("key", KEYS)
def test_tensors_of_other_towers_are_refused_by_their_key(key):
    with pytest.raises(ValueError) as caught:
        to_openai({**random_state("tiny-vit"), key: torch.zeros(1)}, "X")
    assert line(caught).startswith("X holds") and key in str(caught.value)
    assert KEYS[key] in str(caught.value)


@pytest.mark.parametrize(
    "left_out, said",
    [
        (lambda key: key.startswith("visual."), "a text tower alone"),
        (lambda key: not key.startswith("visual."), "an image tower alone"),
        (lambda key: key.startswith("visual.ln_pre"), "no visual.ln_pre.weight"),
    ],
)
def test_half_a_model_is_refused(left_out, said):
    state = {k: v for k, v in random_state("tiny-vit").items() if not left_out(k)}
    with pytest.raises(ValueError, match=said) as caught:
        to_openai(state, "X")
    line(caught)


def test_a_tower_without_its_prefix_is_half_a_model():
    state = random_state("tiny-vit")
    bare = {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")}
    with pytest.raises(ValueError, match="an image tower alone"):
        to_openai(bare, "X")


def test_a_projection_that_a_linear_layer_held_is_turned_round():
    state = random_state("tiny-vit")
    other = {f"text.{k}": v for k, v in state.items() if not k.startswith(("visual.", "logit"))}
    other["text.text_projection.weight"] = other.pop("text.text_projection").T.contiguous()
    whole = {**{k: v for k, v in state.items() if f"text.{k}" not in other}, **other}
    whole.pop("text_projection")
    found = to_openai(whole, "X")
    assert set(found) == set(state) and all(torch.equal(found[k], state[k]) for k in state)


def test_a_mask_is_the_causal_one_or_refused():
    state, shape = random_state("tiny-vit"), (77, 77)
    mask = torch.zeros(shape).masked_fill(torch.ones(shape).triu(1) > 0, -torch.inf)
    assert set(to_openai({**state, "text.attn_mask": mask}, "X")) == set(state)
    mask[3, 5] = 0
    with pytest.raises(ValueError, match="an attn_mask that is not the causal one") as caught:
        to_openai({**state, "attn_mask": mask}, "X")
    line(caught)


# A folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = make(model_config(), folder)
    return save(model, model_config(), folder)


def load(folder):
    weights = read(folder, None, "X")
    return CLIP(weights.state, weights.architecture, weights.name)


def changed(folder, tmp_path, vision=None, text=None, **model):
    shutil.copytree(folder, tmp_path / "other")
    told = {"model_cfg": model_config(vision, text, **model)}
    (tmp_path / "other" / CONFIG).write_text(json.dumps(told))
    return tmp_path / "other"


@pytest.mark.parametrize(
    "parts, said",
    [
        ({"embed_dim": 64}, "embed 64"),
        ({"vision": {"image_size": 64}}, "resolution 64"),
        ({"vision": {"patch_size": 4}}, "patch 4"),
        ({"vision": {"width": 64}}, "vision width 64"),
        ({"vision": {"layers": 3}}, "vision layers 3"),
        ({"vision": {"mlp_ratio": 2}}, "vision hidden 256"),
        ({"vision": RESNET | {"image_size": 32}}, "patch 0"),
        ({"text": {"width": 128}}, "text width 128"),
        ({"text": {"layers": 1}}, "text layers 1"),
        ({"text": {"mlp_ratio": 2.5}}, "text hidden 160"),
        ({"text": {"context_length": 32}}, "context length 32"),
    ],
)
def test_a_config_of_another_model_than_the_weights_is_refused(parts, said, folder, tmp_path):
    with pytest.raises(ValueError) as caught:
        load(changed(folder, tmp_path, **parts))
    assert line(caught).startswith(f"X: its config says {said}, and its weights have ")
    load(folder)


def test_damaged_files_are_named(folder, tmp_path):
    other = changed(folder, tmp_path)
    weights = other / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="open_clip_model") as caught:
        read(other, None, "X")
    line(caught)
    for content in (b"{", b"[]", b"\xff"):
        (other / CONFIG).write_bytes(content)
        with pytest.raises(ValueError, match=CONFIG) as caught:
            read(other, None, "X")
        line(caught)


def test_the_file_of_weights_is_chosen_as_the_library_does(tmp_path):
    from open_clip.factory import _find_checkpoint_in_dir

    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is missing"):
        weights_in(tmp_path)
    for name in ("epoch_3.pt", "pytorch_model.bin", "open_clip_pytorch_model.bin"):
        (tmp_path / name).touch()
        assert weights_in(tmp_path).name == name
    for name in ("model.safetensors", "another.safetensors", "open_clip_model.safetensors"):
        (tmp_path / name).touch()
        assert str(weights_in(tmp_path)) == _find_checkpoint_in_dir(tmp_path)


def test_several_files_of_weights_are_not_chosen_from(tmp_path):
    for name in ("epoch_3.pt", "epoch_4.pt"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"which of epoch_3\.pt, epoch_4\.pt are the weights"):
        weights_in(tmp_path)


def test_a_file_may_be_named_of_several(folder, tmp_path):
    other = changed(folder, tmp_path)
    given = tmp_path / "given.pt"
    torch.save(dict(read(other, None, "X").state), given)
    (other / "open_clip_model.safetensors").unlink()
    assert set(read(other, given, "X").state) == set(read(folder, None, "X").state)


def test_the_weights_may_be_an_archive_of_torchscript(folder, tmp_path):
    """The library's own download of a tag `openai` is one."""
    model, archive = make(model_config(), tmp_path / "model"), tmp_path / "ViT-tiny.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, inputs(32), check_trace=False).save(str(archive))
    weights = read(folder, archive, "X")
    assert CLIP(*weights[:3]).identity() == load(folder).identity()
