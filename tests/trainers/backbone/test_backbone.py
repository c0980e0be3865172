"""A frozen CLIP from all that can hold one, and what is said of all that cannot."""

import gzip
import os
import pickle
import warnings
from pathlib import Path
from types import SimpleNamespace

import clip as clip_package
import pytest
import torch
from multimode_ot import available_backbones, build_model, extend_cfg, load_clip
from multimode_ot.backbone import names
from multimode_ot.backbone.architecture import Tower
from multimode_ot.backbone.encoders import encode_image
from multimode_ot.backbone.names import Advertised
from parity import random_images
from random_clip import package_model, random_clip, random_state
from torch import nn
from yacs.config import CfgNode

TOLD = {"activation": "quick_gelu", "head_width": 64}
HALF = ("visual.proj", "visual.conv1.weight", "transformer.resblocks.0.attn.in_proj_weight")
FLOAT = ("ln_final.weight", "visual.ln_pre.bias", "token_embedding.weight", "logit_scale")


@pytest.fixture(scope="module")
def state():
    return random_state("tiny-vit")


def writable(path):
    return gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb")


def same_weights(clip, state) -> bool:
    loaded = clip.state_dict()
    return all(torch.equal(loaded[key], value) for key, value in state.items() if key in loaded)


# What it takes


def test_a_state_dict_or_a_loaded_module_makes_the_same_clip(state):
    assert same_weights(load_clip(state, **TOLD), state)
    assert same_weights(load_clip(package_model("tiny-vit")), state)
    clip = load_clip(state, **TOLD)
    assert load_clip(clip) is clip


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth.tar", ".pt.gz"])
def test_a_state_dict_in_a_file_may_be_wrapped_and_gzipped(state, tmp_path, suffix, wrapped):
    path = tmp_path / f"weights{suffix}"
    with writable(path) as stream:
        torch.save({"state_dict": state, "epoch": 3} if wrapped else state, stream)
    for source in (path, str(path)):
        assert same_weights(load_clip(source, **TOLD), state)


def test_half_weights_become_float32(state):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    clip = load_clip(half, **TOLD)
    assert {p.dtype for p in clip.parameters()} == {torch.float32}
    assert torch.equal(clip.visual.proj, half["visual.proj"].float())


def test_a_resnet_without_batch_counters_is_whole():
    state = random_state("tiny-resnet")
    stripped = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(stripped) < len(state)
    images = random_images("tiny-resnet")
    whole, other = (encode_image(load_clip(s, **TOLD), images) for s in (state, stripped))
    assert torch.equal(whole, other)


# What it refuses


def test_an_unknown_name_lists_the_nearest_and_all():
    with pytest.raises(ValueError, match=r"did you mean .*ViT-B/16") as refusal:
        load_clip("ViT-B16")
    assert "MODEL.BACKBONE.NAME" in str(refusal.value)
    assert all(name in str(refusal.value) for name in available_backbones())


def test_a_path_below_the_home_of_nobody_is_unknown_too():
    with pytest.raises(ValueError, match="that-name"):
        load_clip("~nobody-of-that-name/x.pt")


@pytest.mark.parametrize("suffix", [".pt", ".pt.gz"])
@pytest.mark.parametrize("content", ["text", "empty", "list", "other weights", "numbers"])
def test_a_file_that_holds_no_clip_is_refused_by_name(tmp_path, content, suffix):
    path = tmp_path / f"strange{suffix}"
    with writable(path) as stream:
        if content == "text":
            stream.write(b"not weights at all\n")
        elif content == "list":
            torch.save([1, 2], stream)
        elif content == "other weights":
            torch.save(nn.Linear(2, 2).state_dict(), stream)
        elif content == "numbers":
            torch.save({"state_dict": 3}, stream)
    with pytest.raises(ValueError, match=r"strange.*not a CLIP state dict"):
        load_clip(path)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet"])
def test_any_missing_tensor_is_named(name):
    whole = random_state(name)
    keys = [k for k in whole if not k.endswith("num_batches_tracked")]
    for key in keys[:: max(1, len(keys) // 25)]:
        partial = {k: v for k, v in whole.items() if k != key}
        with pytest.raises(ValueError, match="not a CLIP state dict"):
            load_clip(partial, **TOLD)
    for key in ("visual.conv1.weight", "text_projection", "positional_embedding"):
        with pytest.raises(ValueError, match=key):
            load_clip({k: v for k, v in whole.items() if k != key})


@pytest.mark.parametrize("key", ["visual.proj", "visual.positional_embedding"])
def test_a_vit_without_its_visual_keys_is_refused(state, key):
    with pytest.raises(ValueError, match="not a CLIP state dict"):
        load_clip({k: v for k, v in state.items() if k != key})


def test_unknown_and_misshapen_tensors_are_named(state):
    with pytest.raises(ValueError, match="adapter"):
        load_clip(state | {"adapter.weight": torch.zeros(2)}, **TOLD)
    with pytest.raises(ValueError, match=r"ln_final\.weight"):
        load_clip(state | {"ln_final.weight": torch.zeros(2)}, **TOLD)


class Malicious:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["torch", "gzip", "pickle"])
def test_a_malicious_file_is_refused_and_runs_nothing(state, tmp_path, form):
    trap, path = tmp_path / "trap", tmp_path / ("bad.pt.gz" if form == "gzip" else "bad.pt")
    payload = {"weight": state["visual.proj"], "extra": Malicious(f"touch {trap}")}
    with writable(path) as stream:
        pickle.dump(payload, stream) if form == "pickle" else torch.save(payload, stream)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="never loaded"):
        warnings.simplefilter("ignore")  # torch tells of the pickle's protocol
        load_clip(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "ACTIVATION quick_gelu"),
        ({"activation": "gelu"}, "HEAD_WIDTH 64"),
        ({"head_width": 64}, "ACTIVATION quick_gelu"),
        ({"activation": "relu", "head_width": 64}, "ACTIVATION 'relu' is unknown.*quick_gelu"),
        ({"activation": "gelu,gelu,gelu", "head_width": 64}, "ACTIVATION.*one value, or two"),
        ({"activation": "gelu", "head_width": 0}, "HEAD_WIDTH 0: the width"),
        ({"activation": "gelu", "head_width": "wide"}, "HEAD_WIDTH 'wide': the width"),
        ({"activation": "gelu", "head_width": 64.0}, r"HEAD_WIDTH 64\.0: the width"),
        ({"activation": "gelu", "head_width": float("inf")}, "HEAD_WIDTH inf: the width"),
        ({"activation": "gelu", "head_width": 48}, "HEAD_WIDTH 48: the image tower.*128 wide"),
        ({"activation": "gelu", "head_width": (64, 48)}, "HEAD_WIDTH 48: the text tower.*64 wide"),
    ],
)
def test_bare_tensors_are_run_as_they_are_told_or_not_at_all(state, tmp_path, told, said):
    torch.save(state, tmp_path / "bare.pt")
    for source in (state, tmp_path / "bare.pt"):
        with pytest.raises(ValueError, match=said) as refusal:
            load_clip(source, **told)
        assert "\n" not in str(refusal.value)


def test_two_values_are_the_images_and_the_text_towers(state):
    for told in (
        {"activation": ("gelu", "quick_gelu"), "head_width": (32, 64)},
        {"activation": "gelu, quick_gelu", "head_width": "32,64"},
    ):
        clip = load_clip(state, **told)
        assert clip.architecture.vision == Tower("gelu", 32)
        assert clip.architecture.text == Tower("quick_gelu", 64)
        assert dict(clip.architecture.told) == {
            "activation": "gelu,quick_gelu",
            "head_width": "32,64",
        }


def test_a_config_may_tell_how_bare_tensors_of_a_library_model_are_run(state):
    cfg = CfgNode()
    extend_cfg(cfg)
    with pytest.raises(ValueError, match="nothing in it says"):
        build_model("CoOp", state, ["cat", "dog"], cfg)
    cfg.MODEL.BACKBONE.update(ACTIVATION="gelu", HEAD_WIDTH=32)
    model = build_model("CoOp", state, ["cat", "dog"], cfg)
    assert model.clip.architecture.text == Tower("gelu", 32)


def test_who_says_otherwise_than_the_backbone_itself_is_refused():
    clip = load_clip("demo-vit")
    assert load_clip("demo-vit", activation="quick_gelu", head_width=64).name == "demo-vit"
    for source in ("demo-vit", clip):
        with pytest.raises(ValueError, match=r"ACTIVATION 'gelu': demo-vit says itself"):
            load_clip(source, activation="gelu")
        with pytest.raises(ValueError, match=r"HEAD_WIDTH 32: demo-vit says itself"):
            load_clip(source, head_width=32)


# What it is


def test_it_is_frozen_and_stays_in_evaluation_mode():
    clip = random_clip("tiny-resnet")
    assert not any(p.requires_grad for p in clip.parameters())
    nn.Sequential(clip).train()
    assert not any(module.training for module in clip.modules())
    before = clip.visual.bn1.running_mean.clone()
    encode_image(clip, random_images("tiny-resnet"))
    assert torch.equal(clip.visual.bn1.running_mean, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_cast_takes_what_openais_half_weights_have_in_half(state, dtype):
    clip = load_clip(state, **TOLD).cast(dtype)
    own = clip.state_dict()
    assert {own[key].dtype for key in HALF} == {dtype} and clip.dtype == dtype
    assert {own[key].dtype for key in FLOAT} == {torch.float32}
    theirs = package_model("tiny-vit")
    clip_package.model.convert_weights(theirs)
    halves = {k for k, v in theirs.state_dict().items() if v.dtype == torch.float16}
    assert {k for k, v in own.items() if v.dtype == dtype} == halves


def test_casting_leaves_the_state_dict_it_came_from_alone(state):
    load_clip(state, **TOLD).cast(torch.bfloat16)
    assert state["visual.proj"].dtype == torch.float32


def test_its_sizes_are_read_from_the_weights(state):
    vit, resnet = load_clip(state, **TOLD), random_clip("tiny-resnet")
    sizes = ("resolution", "embed_width", "text_width", "text_layers", "vision_layers", "is_vit")
    assert [getattr(vit, size) for size in sizes] == [32, 48, 64, 4, 3, True]
    assert [getattr(resnet, size) for size in sizes] == [64, 48, 64, 4, 0, False]
    assert vit.vision_width == 128 and vit.context_length == 77


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ({"std": (1, 1, 1)}, r"odd of an installed package says std .* lacks \['mean', 'interp"),
        ({"colour": 1, "mean": 0, "std": 1, "interpolation": ""}, "odd of an installed .*'colour'"),
        ({"head_width": None}, "odd of an installed package: nothing in it says which activation"),
    ],
)
def test_what_a_package_says_of_its_weights_is_whole(says, said):
    advertised = Advertised("odd", Path("odd.pt"), {"activation": "gelu", "head_width": 64} | says)
    with pytest.raises(ValueError, match=said):
        advertised.architecture(224)


@pytest.mark.parametrize("returned", [None, 3, {}, {"activation": "gelu"}, {"path": None}])
def test_a_package_that_names_no_path_is_told_so(monkeypatch, returned):
    entry = SimpleNamespace(name="odd", value="its:weights", load=lambda: lambda: returned)
    monkeypatch.setattr(names, "entry_points", lambda group: [entry])
    with pytest.raises(ValueError, match=r"odd of an installed .*its:weights returns .*'path'"):
        load_clip("odd")
