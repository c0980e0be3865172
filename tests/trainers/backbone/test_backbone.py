"""A frozen CLIP from all that can hold one, and what is said of all that cannot."""

import gzip
import os
import pickle
import warnings

import clip as clip_package
import pytest
import torch
from multimode_ot import available_backbones, load_clip
from multimode_ot.backbone.encoders import encode_image
from parity import random_images
from random_clip import package_model, random_clip, random_state
from torch import nn

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


def openai_archive(path, state) -> None:
    """A TorchScript archive with OpenAI's parameter names and integer constants."""

    class Node(nn.Module):
        def forward(self, x):
            return x

    root = Node()
    for key, value in state.items():
        *parents, leaf = key.split(".")
        node = root
        for name in parents:
            if name not in dict(node.named_children()):
                node.add_module(name, Node())
            node = getattr(node, name)
        node.register_parameter(leaf, nn.Parameter(value.half(), requires_grad=False))
    for name in ("input_resolution", "context_length", "vocab_size"):
        root.register_buffer(name, torch.tensor(32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(root, torch.zeros(1)).save(str(path))


# What it takes


def test_a_state_dict_or_a_loaded_module_makes_the_same_clip(state):
    assert same_weights(load_clip(state), state)
    assert same_weights(load_clip(package_model("tiny-vit")), state)
    clip = load_clip(state)
    assert load_clip(clip) is clip


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth.tar", ".pt.gz"])
def test_a_state_dict_in_a_file_may_be_wrapped_and_gzipped(state, tmp_path, suffix, wrapped):
    path = tmp_path / f"weights{suffix}"
    with writable(path) as stream:
        torch.save({"state_dict": state, "epoch": 3} if wrapped else state, stream)
    for source in (path, str(path)):
        assert same_weights(load_clip(source), state)


def test_openais_torchscript_archives_load(state, tmp_path):
    path = tmp_path / "ViT-Tiny.pt"
    openai_archive(path, state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = load_clip(path)
    torch.testing.assert_close(clip.visual.proj, state["visual.proj"], atol=1e-3, rtol=1e-3)
    assert clip.visual.proj.dtype == torch.float32 and clip.resolution == 32


def test_half_weights_become_float32(state):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    clip = load_clip(half)
    assert {p.dtype for p in clip.parameters()} == {torch.float32}
    assert torch.equal(clip.visual.proj, half["visual.proj"].float())


def test_a_resnet_without_batch_counters_is_whole():
    state = random_state("tiny-resnet")
    stripped = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(stripped) < len(state)
    images = random_images("tiny-resnet")
    whole, other = (encode_image(load_clip(s), images) for s in (state, stripped))
    assert torch.equal(whole, other)


def test_a_name_is_downloaded_to_clips_cache(state, tmp_path, monkeypatch):
    torch.save(state, tmp_path / "ViT-B-16.pt")
    asked = []

    def download(url, root):
        asked.append(url)
        return str(tmp_path / "ViT-B-16.pt")

    monkeypatch.setattr(clip_package.clip, "_download", download)
    assert same_weights(load_clip("ViT-B/16"), state)
    assert len(asked) == 1 and asked[0].endswith("ViT-B-16.pt")


# What it refuses


def test_an_unknown_name_lists_the_nearest_and_all():
    with pytest.raises(ValueError, match=r"did you mean .*ViT-B/16") as refusal:
        load_clip("ViT-B16")
    assert "MODEL.BACKBONE.NAME" in str(refusal.value)
    assert all(name in str(refusal.value) for name in available_backbones())


def test_a_failed_download_says_where_to_put_the_file(monkeypatch):
    def no_network(url, root):
        raise RuntimeError("no route to host")

    monkeypatch.setattr(clip_package.clip, "_download", no_network)
    with pytest.raises(OSError, match="no route to host") as refusal:
        load_clip("RN50")
    assert "RN50.pt" in str(refusal.value) and "name a local file" in str(refusal.value)


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
    with pytest.raises(ValueError, match=r"strange.*not an OpenAI CLIP state dict"):
        load_clip(path)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet"])
def test_any_missing_tensor_is_named(name):
    whole = random_state(name)
    keys = [k for k in whole if not k.endswith("num_batches_tracked")]
    for key in keys[:: max(1, len(keys) // 25)]:
        partial = {k: v for k, v in whole.items() if k != key}
        with pytest.raises(ValueError, match="not an OpenAI CLIP state dict"):
            load_clip(partial)
    for key in ("visual.conv1.weight", "text_projection", "positional_embedding"):
        with pytest.raises(ValueError, match=key):
            load_clip({k: v for k, v in whole.items() if k != key})


@pytest.mark.parametrize("key", ["visual.proj", "visual.positional_embedding"])
def test_a_vit_without_its_visual_keys_is_refused(state, key):
    with pytest.raises(ValueError, match="not an OpenAI CLIP state dict"):
        load_clip({k: v for k, v in state.items() if k != key})


def test_unknown_and_misshapen_tensors_are_named(state):
    with pytest.raises(ValueError, match="adapter"):
        load_clip(state | {"adapter.weight": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"ln_final\.weight"):
        load_clip(state | {"ln_final.weight": torch.zeros(2)})


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
    clip = load_clip(state).cast(dtype)
    own = clip.state_dict()
    assert {own[key].dtype for key in HALF} == {dtype} and clip.dtype == dtype
    assert {own[key].dtype for key in FLOAT} == {torch.float32}
    theirs = package_model("tiny-vit")
    clip_package.model.convert_weights(theirs)
    halves = {k for k, v in theirs.state_dict().items() if v.dtype == torch.float16}
    assert {k for k, v in own.items() if v.dtype == dtype} == halves


def test_casting_leaves_the_state_dict_it_came_from_alone(state):
    load_clip(state).cast(torch.bfloat16)
    assert state["visual.proj"].dtype == torch.float32


def test_its_sizes_are_read_from_the_weights(state):
    vit, resnet = load_clip(state), random_clip("tiny-resnet")
    sizes = ("resolution", "embed_width", "text_width", "text_layers", "vision_layers", "is_vit")
    assert [getattr(vit, size) for size in sizes] == [32, 48, 64, 4, 3, True]
    assert [getattr(resnet, size) for size in sizes] == [64, 48, 64, 4, 0, False]
    assert vit.vision_width == 128 and vit.context_length == 77
