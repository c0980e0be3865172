"""Rows of fixed classes: found by name, absent for other classes, loaded whole or not at all."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from any_method import VIT, Case, backbone, give_features, logits
from multimode_ot import build_model
from multimode_ot.methods.class_bound import rows_by_name
from multimode_ot.methods.prompts import put_classnames
from multimode_ot.training.class_ids import wordnet_ids
from multimode_ot.training.step import training_step
from parity import NAMES
from torch import nn

BOUND = ["TaskRes", "TipAdapter", "TipAdapterF"]
OTHERS = ["dog", "tree frog"]
bound = pytest.mark.parametrize("method", BOUND)


def trained(method, names=NAMES):
    return Case(method).as_trained(names)


def zero_shot(model, images):
    """Of the method's own text side."""
    text = F.normalize(model.text_side(), dim=-1)
    return model.logit_scale * model.frozen_image(images) @ text.T


@bound
def test_rows_follow_their_classes_in_any_order(method):
    model, images = trained(method), Case(method).images(4)
    before = logits(model, images)
    order = [2, 0, 1]
    model.set_classes([NAMES[i] for i in order])
    torch.testing.assert_close(logits(model, images), before[:, order])
    assert not model.new_is_zero_shot


@bound
def test_other_classes_are_classified_as_by_zero_shot_clip(method):
    model, images = trained(method), Case(method).images(4)
    assert not torch.allclose(logits(model, images), zero_shot(model, images), atol=0.1)
    model.set_classes(OTHERS)
    assert model.new_is_zero_shot
    torch.testing.assert_close(logits(model, images), zero_shot(model, images))


@bound
def test_of_mixed_classes_those_that_were_trained_keep_their_rows(method):
    model, images = trained(method), Case(method).images(4)
    before = logits(model, images)
    model.set_classes(["dog", NAMES[1], "tree frog"])
    assert model.new_is_zero_shot
    mixed, plain = logits(model, images), zero_shot(model, images)
    torch.testing.assert_close(mixed[:, 1], before[:, 1])
    torch.testing.assert_close(mixed[:, [0, 2]], plain[:, [0, 2]])
    assert not torch.allclose(mixed[:, 1], plain[:, 1], atol=0.01)
    model.set_classes(NAMES)
    assert torch.equal(logits(model, images), before) and not model.new_is_zero_shot


# Class names that stand twice


def test_doubled_names_have_their_rows_in_turn_and_are_refused_where_that_is_a_guess():
    twice = ["missile", "sunglasses", "missile", "cat"]
    assert rows_by_name(twice, twice) == [0, 1, 2, 3]
    assert rows_by_name(twice, ["cat", "missile", "dog", "missile"]) == [3, 0, -1, 2]
    for names in (["missile", "cat"], ["missile"] * 3):
        with pytest.raises(ValueError) as refusal:
            rows_by_name(twice, names)
        assert "2 classes with rows are called 'missile'" in str(refusal.value)
    assert rows_by_name(["cat"], ["cat", "cat"]) == [0, -1]


IDS = ["n04008634", "n03773504", "n02123045"]  # two that are called missile, and a cat


@bound
def test_ids_tell_classes_of_one_name_apart_where_they_are_known(method):
    case, names = Case(method), ["missile", "missile", "cat"]
    images = case.images(4)

    def model(names, ids, seed):
        made = build_model(method, backbone(VIT), names, case.settings(), unique_names=False)
        if ids:
            made.identify(ids)
        return give_features(made, seed).eval()

    saved = model(names, IDS, seed=1)
    with torch.no_grad():
        for tensor in saved.prompt_learner.parameters():
            tensor += torch.arange(1.0, 1 + len(tensor))[:, None]
    state, found = saved.prompt_learner.state_dict(), logits(saved, images)
    other = model(["missile", "tree frog"], [IDS[1], "n01644373"], seed=2)
    other.load_prompts(state)
    assert other.row_of.tolist() == [1, -1]
    torch.testing.assert_close(logits(other, images)[:, 0], found[:, 1])
    with pytest.raises(ValueError, match="which belongs to which cannot be told"):
        model(["missile", "tree frog"], None, seed=2).load_prompts(state)
    other.set_classes(["cat"])  # whose id nobody has told
    assert other.row_of.tolist() == [2]
    nameless = model(["missile", "missile"], None, seed=3)
    nameless.load_prompts(model(["missile", "missile"], None, seed=4).prompt_learner.state_dict())
    assert nameless.row_of.tolist() == [0, 1]


def listing(*folders):
    items = [SimpleNamespace(label=i, impath=f"/x/{f}/{i}.jpg") for i, f in enumerate(folders)]
    return SimpleNamespace(train_x=items, val=None, test=items[::-1], classnames=["a"] * len(items))


def test_the_ids_are_those_of_the_images_folders():
    assert wordnet_ids(listing(*IDS)) == IDS
    assert wordnet_ids(listing("n04008634", "cats")) is None
    assert wordnet_ids(listing("n04008634", "n04008634")) is None
    several = listing(*IDS)
    several.test = [SimpleNamespace(label=0, impath="/x/n00000001/0.jpg")]
    assert wordnet_ids(several) is None


# Loading


@bound
def test_rows_of_other_classes_are_loaded_by_their_names(method):
    saved = trained(method)
    state = saved.prompt_learner.state_dict()
    model = Case(method).build(["dog", "2012 Ferrari", "cat", "x"], seed=3).eval()
    report = model.load_prompts(state)
    assert not report.missed and not report.unexpected
    assert model.trained_classes == NAMES
    images = Case(method).images(3)
    saved.set_classes(model.classnames)
    assert torch.equal(logits(model, images), logits(saved, images))
    copied = model.prompt_learner.state_dict()
    assert all(torch.equal(copied[key], value) for key, value in state.items())


@pytest.mark.parametrize("method", ["TipAdapter", "TipAdapterF"])
def test_a_cache_of_other_images_is_loaded_with_or_without_class_names(method):
    state = dict(trained(method).prompt_learner.state_dict())
    images = Case(method).images(3)
    for count in (0, 2, 6, 11):
        longer = state | {
            "cache_keys": F.normalize(torch.randn(count, 48), dim=-1),
            "labels": torch.arange(count) % 3,
        }
        nameless = {key: value for key, value in longer.items() if key != "class_names"}
        one, other = Case(method).build(seed=2).eval(), Case(method).build(seed=3).eval()
        assert not one.load_prompts(longer).missed and not other.load_prompts(nameless).missed
        assert torch.equal(logits(one, images), logits(other, images))
        assert len(one.prompt_learner.cache_keys) == count


def names_buffer(names):
    learner = nn.Module()
    put_classnames(learner, names)
    return learner.class_names


CACHE = {"cache_keys": torch.ones(2, 48), "labels": torch.tensor([0, 1])}
REFUSED = [
    ("TaskRes", {"text_feature_residuals": torch.zeros(5, 48)}, "has shape (5, 48)"),
    ("TaskRes", {"text_feature_residuals": torch.zeros(3, 47)}, "has shape (3, 47)"),
    (
        "TaskRes",
        {"text_feature_residuals": torch.zeros(5, 48), "class_names": names_buffer(["a", "b"])},
        "text_feature_residuals has 5 rows for 2 classes",
    ),
    (
        "TaskRes",
        {"text_feature_residuals": torch.zeros(2, 48), "class_names": torch.tensor([0.5])},
        "class_names of the state dict holds no list of class names",
    ),
    (
        "TaskRes",
        {"text_feature_residuals": torch.zeros(2, 48), "class_names": torch.tensor([123, 125])},
        "class_names of the state dict holds no list of class names",
    ),
    (
        "TaskRes",
        {
            "text_feature_residuals": torch.zeros(2, 48),
            "class_names": names_buffer(["cat", "cat"]),
        },
        "2 classes with rows are called 'cat', and 1 of these",
    ),
    *[
        (method, CACHE | change, words)
        for method in ("TipAdapter", "TipAdapterF")
        for change, words in [
            ({"labels": torch.tensor([0, 3])}, "labels has 0 to 3, but there are 3 classes"),
            ({"labels": torch.tensor([-1, 1])}, "labels has -1 to 1, but there are 3 classes"),
            ({"labels": torch.tensor([1])}, "cache_keys has 2 rows and labels has 1"),
            ({"cache_keys": torch.ones(2, 47)}, "cache_keys has shape (2, 47)"),
            ({"cache_keys": torch.ones(48)}, "cache_keys has shape (48,)"),
            ({"alpha": torch.ones(3)}, "alpha has shape (3,)"),
        ]
    ],
    ("TipAdapterF", {"cache_keys": torch.ones(2, 48)}, "each key needs the label of its image"),
]


@pytest.mark.parametrize(("method", "state", "words"), REFUSED)
def test_what_is_refused_changes_nothing(method, state, words):
    model, images = trained(method), Case(method).images(3)
    model.set_classes(["cat", NAMES[1], "dog"])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = logits(model, images)
    with pytest.raises(ValueError) as refusal:
        model.load_prompts(state)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(logits(model, images), found)


# Regularisers


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("TaskRes", ("template_consistency", "frozen_consistency")),
        ("TaskRes", ("gradient_projection", "weight_average")),
        ("CLIPAdapter", ("frozen_consistency", "gradient_projection")),
        ("TipAdapterF", ("gradient_projection", "weight_average")),
    ],
)
def test_regularisers_have_the_same_effect_on_features_as_on_images(method, parts):
    case = Case(method, parts=parts)
    images, labels = case.images(5), torch.tensor([0, 1, 2, 0, 1])
    summaries, states = [], []
    for on_features in (False, True):
        model = case.build().train()
        given = model.image_features(images) if on_features else images
        optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler(enabled=False)
        summaries.append([training_step(model, optimizer, scaler, given, labels) for _ in range(2)])
        states.append(model.prompt_learner.state_dict())
    for one, other in zip(*summaries, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value)


def test_features_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"image features of shape \(2, 7\): .* has \(B, 48\)"):
        Case("TaskRes").build()(torch.zeros(2, 7))


# In runs

BASE = ("DATASET.NUM_SHOTS", 2, "DATALOADER.NUM_WORKERS", 0)


@pytest.mark.parametrize("method", ["TaskRes", "TipAdapter"])
def test_results_of_new_classes_are_marked_and_are_zero_shot_clips(run, tmp_path, method):
    base = (*BASE, "DATASET.SUBSAMPLE_CLASSES", "base")
    epochs = 1 if method == "TipAdapter" else 2
    run(method, *base, "OPTIM.MAX_EPOCH", epochs)
    load = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", epochs)
    found = {"run": json.loads((tmp_path / "run/results.json").read_text())}
    for subset in ("new", "all"):
        options = (*BASE, "DATASET.SUBSAMPLE_CLASSES", subset)
        run(method, *load, *options, "OPTIM.MAX_EPOCH", epochs, folder=subset)
        found[subset] = json.loads((tmp_path / subset / "results.json").read_text())
    assert "new_is_zero_shot" not in found["run"]
    assert found["new"]["new_is_zero_shot"] and found["all"]["new_is_zero_shot"]
    plain = ("--eval-only", *BASE, "DATASET.SUBSAMPLE_CLASSES", "new")
    run("ZeroshotCLIP", *plain, folder="zero-shot")
    zero = json.loads((tmp_path / "zero-shot/results.json").read_text())
    assert found["new"]["correct"] == zero["correct"]
