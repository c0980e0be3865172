"""TorchScript archives hold the program that runs their weights, and are asked for its features."""

import warnings

import pytest
import torch
from multimode_ot import load_clip
from parity import random_images
from random_clip import package_model

VIT = "tiny-vit, two heads"


def saved(script, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script().save(str(path))
    return path


def of_openai(model, path):
    """An archive as OpenAI made theirs, with their constants and methods."""
    for constant in ("input_resolution", "context_length", "vocab_size"):
        model.__dict__.pop(constant, None)
        model.register_buffer(constant, torch.tensor(77))
    given = {"encode_image": random_images(VIT)[:2], "encode_text": torch.eye(2, 77).long()}
    return saved(lambda: torch.jit.trace_module(model, given, check_trace=False), path)


def test_one_of_openais_kind_with_other_heads_is_refused(tmp_path):
    model = package_model(VIT)
    clip = load_clip(of_openai(model, tmp_path / "same.pt"))
    assert clip.identity() == load_clip(package_model(VIT)).identity()
    for block in model.transformer.resblocks:
        block.attn.num_heads, block.attn.head_dim = 4, 32
    with pytest.raises(ValueError, match=r"other\.pt: its own text features differ"):
        load_clip(of_openai(model, tmp_path / "other.pt"))


@pytest.mark.parametrize(
    ("vision", "text", "differ"),
    [
        ({}, {}, ""),
        ({"head_width": 32}, {}, ""),
        ("resnet", {}, ""),
        ({"pool_type": "avg"}, {}, "image"),
        ({}, {"no_causal_mask": True}, "text"),
        ({}, {"pool_type": "last"}, "text"),
        ("resnet", {"pool_type": "first"}, "text"),
    ],
)
def test_open_clips_scripted_model_is_read_as_it_runs_or_refused(vision, text, differ, tmp_path):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    from open_clip_models import differences, make, model_config

    model = make(model_config(vision, text), tmp_path / "made")
    path = saved(lambda: torch.jit.script(model), tmp_path / "scripted.pt")
    if differ:
        with pytest.raises(ValueError, match=rf"scripted\.pt: its own {differ} features differ"):
            load_clip(path)
    else:
        assert max(differences(load_clip(path), model)) < 1e-5
