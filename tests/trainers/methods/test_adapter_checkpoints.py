"""Files of the adapters' original programs, and TaskRes's enhanced bases."""

import pytest
import torch
from any_method import VIT, Case, logits
from multimode_ot import build_model
from multimode_ot.training.checkpoints import read_checkpoint
from parity import NAMES, settings
from random_clip import random_clip

WIDTH, TEXT = 48, 64


def test_clip_adapter_loads_the_originals_file():
    state = {"fc.0.weight": torch.randn(12, WIDTH), "fc.2.weight": torch.randn(WIDTH, 12)}
    model = Case("CLIPAdapter").build()
    assert model.checkpoint_name == "clip_adapter" and not model.checkpoint_prefix
    report = model.load_prompts(state)
    assert report.used == tuple(state) and not report.missed and not report.unexpected
    assert set(model.prompt_learner.state_dict()) == set(state)


def test_taskres_takes_the_residual_alone_and_makes_the_text_side_itself():
    state = {
        "base_text_features": torch.randn(len(NAMES), WIDTH),
        "text_feature_residuals": torch.randn(len(NAMES), WIDTH),
    }
    model, images = Case("TaskRes").build().eval(), Case("TaskRes").images()
    report = model.load_prompts(state)
    assert report.used == ("text_feature_residuals",) and report.ignored == ("base_text_features",)
    assert not report.missed and not report.unexpected
    other = Case("TaskRes").build(seed=1).eval()
    other.load_prompts({"text_feature_residuals": state["text_feature_residuals"]})
    assert torch.equal(logits(model, images), logits(other, images))


@pytest.mark.parametrize("name", ["keys_16shots.pt", "best_F_16shots.pt"])
def test_a_bare_tensor_of_tip_adapter_is_refused_in_a_line(tmp_path, name):
    bare = torch.randn(5, WIDTH)
    torch.save(torch.nn.Parameter(bare) if "best" in name else bare.T, tmp_path / name)
    with pytest.raises(ValueError) as refusal:
        read_checkpoint(tmp_path / name)
    assert name in str(refusal.value) and "is not a checkpoint: it holds a bare tensor" in str(
        refusal.value
    )
    assert "\n" not in str(refusal.value)


# Enhanced bases


def base_file(path, weight):
    torch.save({"state_dict": {"weight": weight}, "epoch": 50, "optimizer": {}}, path)
    return str(path)


@pytest.mark.parametrize("precision", ["fp32", "amp", "bf16"])
def test_an_enhanced_base_replaces_the_text_projection_in_every_precision(tmp_path, precision):
    case, images = Case("TaskRes"), Case("TaskRes").images()
    plain = case.build(PREC=precision).eval()
    own = plain.clip.text_projection.detach().float()
    halved = base_file(tmp_path / "half.pth.tar", 0.5 * own.T)
    same = case.build(PREC=precision, ENHANCED_BASE=halved).eval()
    torch.testing.assert_close(logits(same, images), logits(plain, images))  # after the norm
    tuned = base_file(tmp_path / "tuned.pth.tar", torch.randn(WIDTH, TEXT))
    other = case.build(PREC=precision, ENHANCED_BASE=tuned).eval()
    assert (logits(other, images) - logits(plain, images)).abs().max() > 0.1


def test_it_changes_nothing_but_the_text_side_and_is_not_saved(tmp_path):
    file = base_file(tmp_path / "base.pth.tar", torch.randn(WIDTH, TEXT))
    plain, model = Case("TaskRes").build(), Case("TaskRes").build(ENHANCED_BASE=file)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(model.clip.text_projection, plain.clip.text_projection)
    templates = ("a photo of a {}.",)
    assert torch.equal(model.frozen_text(templates), plain.frozen_text(templates))
    before = model.class_features()
    model.set_classes(["dog"])
    model.set_classes(NAMES)
    assert torch.equal(model.class_features(), before)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no checkpoint"),
        ({"state_dict": {"other": torch.zeros(3)}}, "has no weight"),
        ({"state_dict": {"weight": torch.zeros(TEXT, WIDTH)}}, "a weight of shape (64, 48)"),
        (torch.zeros(3), "is not a checkpoint: it holds a bare tensor (3,)"),
    ],
)
def test_a_file_of_something_else_is_refused_with_the_setting(tmp_path, content, words):
    path = tmp_path / "base.pth.tar"
    if content is not None:
        torch.save(content, path)
    with pytest.raises((ValueError, FileNotFoundError)) as refusal:
        Case("TaskRes").build(ENHANCED_BASE=str(path))
    said = str(refusal.value)
    assert said.startswith("TRAINER.TASKRES.ENHANCED_BASE") and "base.pth.tar" in said
    assert words in said and "\n" not in said


@pytest.mark.parametrize("kind", ["bare", "state dict"])
def test_the_originals_trained_keys_belong_to_the_cache_that_is_there(kind):
    model = build_model("TipAdapterF", random_clip(VIT), NAMES, settings("TipAdapterF"))
    keys = torch.nn.Parameter(torch.randn(6, WIDTH))
    file = keys if kind == "bare" else {"weight": keys}
    with pytest.raises(ValueError, match="cache_keys has 6 rows and labels has 0"):
        model.load_prompts(file)
    model.collect(torch.randn(2, 6, WIDTH), torch.arange(6) % 3)
    model.load_prompts(file)
    assert torch.equal(model.prompt_learner.cache_keys, keys)
    assert model.prompt_learner.cache_keys.requires_grad


@pytest.mark.parametrize("method", ["TipAdapter", "LinearProbe"])
def test_a_search_without_images_is_refused_by_its_setting(method):
    node = settings(method, TUNE="val")
    model = build_model(method, random_clip(VIT), NAMES, node)
    features, labels = torch.randn(1, 6, WIDTH), torch.arange(6) % 3
    model.collect(features, labels)
    with pytest.raises(ValueError, match=rf"TRAINER\.{method.upper()}\.TUNE 'val'.*encoded"):
        model.fit(features, labels)
