"""The frozen CLIP that regularisers compare with: what it costs, and what it never does."""

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.backbone import zero_shot
from multimode_ot.methods import frozen
from multimode_ot.training.step import training_step
from parity import random_images, settings
from random_clip import random_clip
from regularised import assert_equal, both, scaler
from slow_methods import NAMES
from slow_regularisers import Teacher

TEMPLATES = ("a photo of a {}.", "art of the {}.", "itap of a {}.")
TRAINED = ("CoOp", "CoCoOp", "MaPLe", "IVLP", "VPT", "PLOT", "MultiModeOT")
ALL = ("template_consistency", "frozen_consistency", "gradient_projection")


def build(method="CoOp", parts=ALL, names=NAMES, **changes):
    torch.manual_seed(0)
    depths = {k: 2 for k in settings(method) if "PROMPT_DEPTH" in k}
    node = settings(method, REGULARISERS=tuple(parts), **depths | changes)
    return build_model(method, random_clip("tiny-vit"), names, node).train()


def step(model, images=None):
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=0.01)
    images = random_images("tiny-vit") if images is None else images
    return training_step(model, optimizer, scaler(), images, torch.tensor([0, 1]))


@pytest.fixture
def encoded(monkeypatch):
    """A list that grows by the templates of each call of the teacher's text tower."""
    calls = []

    def count(clip, names, templates, *how):
        calls.append(tuple(templates))
        return zero_shot.template_features(clip, names, templates, *how)

    monkeypatch.setattr(frozen, "template_features", count)
    return calls


@pytest.mark.parametrize("unit", [True, False])
def test_class_features_are_averaged_over_templates_normalised_before_or_not(unit):
    pair = both("CoOp", torch.float64)
    ours = pair.model.frozen_text(TEMPLATES, unit)
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, TEMPLATES)
    if unit:
        singles = [Teacher(pair.slow, pair.images.double(), NAMES, [t]).texts for t in TEMPLATES]
        slow = [torch.stack(h).mean(0) for h in zip(*singles, strict=True)]
        slow = [h / h.norm() for h in slow]
    else:
        slow = teacher.texts
    assert_equal({"h0": ours}, {"h0": torch.stack(slow)}, 1e-12)


@pytest.mark.parametrize("method", ["CoOp", "MaPLe", "MultiModeOT", "PLOT"])
def test_image_features_are_those_of_the_tower_without_prompts(method):
    model, images = build(method), random_images("tiny-vit")
    plain = build_model("ZeroshotCLIP", random_clip("tiny-vit"), NAMES)
    torch.testing.assert_close(model.frozen_image(images), plain.image_features(images))


def test_evaluation_never_pays_and_training_pays_once(encoded):
    model, images = build(), random_images("tiny-vit")
    with torch.no_grad():
        model.eval()(images, model.class_features())
    assert encoded == []
    for _ in range(3):
        step(model.train())
    assert sorted(map(len, encoded)) == [1, 60]  # one template serves two of the three


def test_a_method_without_regularisers_has_no_teacher(encoded, monkeypatch):
    monkeypatch.setattr(frozen.FrozenFeatures, "frozen_image", lambda *_: pytest.fail("computed"))
    step(build(parts=()))
    assert encoded == []


def test_frozen_images_are_encoded_once_a_step_for_all_who_ask(monkeypatch):
    calls, encode = [], frozen.FrozenFeatures.frozen_image
    monkeypatch.setattr(
        frozen.FrozenFeatures, "frozen_image", lambda *a: (calls.append(1), encode(*a))[1]
    )
    model = build("MaPLe")
    step(model)
    step(model)
    assert len(calls) == 2


@pytest.mark.parametrize("method", TRAINED)
def test_class_features_follow_the_classes(method):
    model, others = build(method, parts=()), ["dog", "a house", "2012 Ferrari", "cat"]
    before = model.frozen_text(TEMPLATES)
    model.set_classes(others)
    after = model.frozen_text(TEMPLATES)
    assert after.shape == (4, before.shape[1])
    torch.testing.assert_close(after, build(method, (), others).frozen_text(TEMPLATES))
    torch.testing.assert_close(after[2:], before[[2, 0]])


@pytest.mark.parametrize("method", ["CoOp", "MaPLe"])
def test_the_teacher_is_in_no_state_dict(method):
    model = build(method)
    before = model.state_dict().keys(), model.prompt_learner.state_dict().keys()
    step(model)
    assert (model.state_dict().keys(), model.prompt_learner.state_dict().keys()) == before
    shapes = {tuple(value.shape) for value in model.state_dict().values()}
    assert (len(NAMES), 48) not in shapes


def test_the_teacher_is_a_constant():
    model, images = build("MaPLe"), random_images("tiny-vit")
    before = model.frozen_text(TEMPLATES).clone(), model.frozen_image(images)
    assert not any(feature.requires_grad for feature in before)
    for _ in range(3):
        step(model, images)
    after = model.frozen_text(TEMPLATES), model.frozen_image(images)
    assert all(map(torch.equal, before, after))
    assert not any(p.requires_grad or p.grad is not None for p in model.clip.parameters())


def test_class_features_move_with_the_model():
    model = build()
    features = model.frozen_text(TEMPLATES)
    assert features.device.type == "cpu"
    model.to("meta")
    assert model.frozen_text(TEMPLATES).device.type == "meta"


@pytest.mark.parametrize("unit", [True, False])
def test_class_features_are_computed_in_float32_by_towers_in_half(unit, encoded):
    low = build(PREC="bf16")
    rounded = random_clip("tiny-vit").cast(torch.bfloat16).cast(torch.float32)
    expected = zero_shot.template_features(rounded, NAMES, TEMPLATES, unit)
    assert torch.equal(low.frozen_text(TEMPLATES, unit), expected)
    assert low.clip.dtype == torch.bfloat16  # the towers stay as they are


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad])
def test_wherever_class_features_were_first_asked_for_training_can_use_them(context):
    model, plain = build(), build()
    with context(), torch.autocast("cpu", torch.bfloat16):
        first = model.frozen_text(TEMPLATES)
    assert torch.equal(first, plain.frozen_text(TEMPLATES)) and not first.is_inference()
    weight = torch.ones(len(first), 1, requires_grad=True)
    (first * weight).sum().backward()
