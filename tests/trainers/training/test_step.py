"""One training step: its summary, what it refuses, loss scales, precisions."""

import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.methods.coop import CoOp
from multimode_ot.regularisers import REGULARISERS
from multimode_ot.regularisers.gradient_projection import GradientProjection
from multimode_ot.training.step import training_step
from parity import NAMES, random_images, settings
from random_clip import random_clip
from regularised import scaler

TERMS = ("template_consistency", "frozen_consistency")
TRAINED = ("CoOp", "CoCoOp", "MaPLe", "IVLP", "VPT", "PLOT", "MultiModeOT")
SHORT = (
    "DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0,
    "DATASET.SUBSAMPLE_CLASSES", "base",
)  # fmt: skip


def build(method="CoOp", parts=(), **changes):
    torch.manual_seed(0)
    depths = {k: 2 for k in settings(method) if "PROMPT_DEPTH" in k}
    node = settings(method, REGULARISERS=tuple(parts), **depths | changes)
    return build_model(method, random_clip("tiny-vit"), NAMES, node).train()


def prompts(model):
    return {k: v.detach().clone() for k, v in model.prompt_learner.named_parameters()}


def train(model, scale=None, steps=1, labels=(0, 1)):
    """The last summary."""
    scale = scale or scaler()
    optimizer = torch.optim.SGD(
        model.prompt_learner.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4
    )
    for _ in range(steps):
        summary = training_step(
            model, optimizer, scale, random_images("tiny-vit"), torch.tensor(labels)
        )
    return summary


# The summary


@pytest.mark.parametrize("method", TRAINED)
def test_a_plain_step_shows_loss_and_accuracy_alone(method):
    model, images, labels = build(method), random_images("tiny-vit"), torch.tensor([0, 1])
    logits = model(images).detach()
    summary = train(model)
    assert list(summary) == ["loss", "acc"]
    assert summary["loss"] == float(F.cross_entropy(logits, labels))
    assert summary["acc"] == 100 * float((logits.argmax(1) == labels).double().mean())


def test_the_terms_stand_between_loss_and_accuracy_in_the_order_that_is_listed():
    names = ["text_consistency", "image_consistency", "logit_consistency", "template_consistency"]
    summary = train(build("MaPLe", ["gradient_projection", *reversed(TERMS)]))
    assert list(summary) == ["loss", "cross_entropy", *names, "gradient_projection", "acc"]
    terms = sum(summary[name] for name in ["cross_entropy", *names])
    assert summary["loss"] == pytest.approx(terms, rel=1e-6)


def test_a_step_of_a_method_with_terms_of_its_own_is_a_step_on_their_sum():
    class TwoTerms(CoOp):
        def loss_terms(self, seen):
            return {**super().loss_terms(seen), "length": self.prompt_learner.ctx.norm()}

    model, slow = build(), build()
    model.__class__ = TwoTerms
    assert list(train(model)) == ["loss", "cross_entropy", "length", "acc"]
    optimizer = torch.optim.SGD(
        slow.prompt_learner.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4
    )
    loss = F.cross_entropy(slow(random_images("tiny-vit")), torch.tensor([0, 1]))
    (loss + slow.prompt_learner.ctx.norm()).backward()
    optimizer.step()
    torch.testing.assert_close(model.prompt_learner.ctx, slow.prompt_learner.ctx)


# What is refused

SCALAR = torch.ones((), requires_grad=True)
WRONG = {
    "a name of the summary": ({"loss": SCALAR}, "called 'loss', which a step's summary has"),
    "another": ({"acc": SCALAR}, "called 'acc', which a step's summary has"),
    "a regulariser's name": ({"template_consistency": SCALAR}, "two loss terms are called"),
    "a guide's name": ({"gradient_projection": SCALAR}, "two loss terms are called"),
    "a vector": ({"each": torch.ones(2, requires_grad=True)}, r"'each' must be a scalar.*\(2,\)"),
    "one number in a vector": ({"each": SCALAR[None]}, r"'each' must be a scalar.*\(1,\)"),
    "a number": ({"each": 1.0}, "'each' must be a scalar tensor, but is float"),
    "nothing": ({}, "CoOp has no loss term"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_terms_are_refused_and_nothing_is_updated(wrong, monkeypatch):
    terms, message = WRONG[wrong]
    monkeypatch.setattr(CoOp, "loss_terms", lambda self, seen: terms)
    parts = () if wrong == "nothing" else ("template_consistency", "gradient_projection")
    model = build("CoOp", parts)
    before = prompts(model)
    with pytest.raises(ValueError, match=message):
        train(model)
    assert all(torch.equal(before[k], v) for k, v in prompts(model).items())


def test_a_run_with_a_wrong_term_ends_with_one_line(run, refused, monkeypatch):
    monkeypatch.setattr(CoOp, "loss_terms", lambda self, seen: {"loss": seen.logits.mean()})
    assert "a loss term is called 'loss'" in refused(run, "CoOp", *SHORT)


@pytest.mark.parametrize("hook", ["guide", "loss_terms"])
def test_a_part_that_is_not_finite_is_named_and_nothing_is_updated(hook, monkeypatch, run, refused):
    lost = {
        "guide": lambda part, seen: seen.logits.sum() * float("nan"),
        "loss_terms": lambda part, seen: {"lost": seen.logits.sum() * float("nan")},
    }
    monkeypatch.setattr(GradientProjection, hook, lost[hook])
    model = build("CoOp", ["gradient_projection"])
    before = prompts(model)
    name = "gradient_projection" if hook == "guide" else "lost"
    with pytest.raises(FloatingPointError, match=name):
        train(model)
    assert all(torch.equal(before[k], v) for k, v in prompts(model).items())
    listed = ("TRAINER.COOP.REGULARISERS", "('gradient_projection',)")
    line = refused(run, "CoOp", *SHORT, *listed)
    assert "epoch 1, batch 1 (" in line and name in line


# Loss scales, and precisions


@pytest.mark.parametrize("method", TRAINED)
@pytest.mark.parametrize("labels", [(0, 1), (2, 2), (1, 0)])
def test_gradients_are_unscaled_before_they_are_projected(method, labels):
    """A power of two scales without rounding, so that the steps agree to the bit."""
    parts = [name for name, kind in REGULARISERS.items() if not kind.unfit(type(build(method)))]
    scaled, plain = build(method, parts), build(method, parts)
    grad_scaler = scaler(enabled=True, init_scale=2.0**10)
    one, other = train(scaled, grad_scaler, 3, labels), train(plain, None, 3, labels)
    assert grad_scaler.get_scale() == 2**10
    assert one == other
    for key, value in prompts(plain).items():
        assert torch.equal(prompts(scaled)[key], value), key


def test_gradient_rules_see_gradients_free_of_the_scale(monkeypatch):
    found = []
    for rule in (CoOp, GradientProjection):
        monkeypatch.setattr(
            rule,
            "change_gradients",
            lambda self, trained, *_: found.append(trained[0].grad.clone()),
        )
    for scale in (None, scaler(enabled=True, init_scale=2.0**10)):
        train(build("CoOp", ["gradient_projection"]), scale)
    assert len(found) == 4 and found[0].any()
    assert all(torch.equal(gradient, found[0]) for gradient in found)


@pytest.mark.parametrize("overflow", ["loss", "guide"])
def test_a_step_that_overflows_under_the_scale_is_skipped_and_the_scale_halved(
    overflow, monkeypatch
):
    hook = {"loss": CoOp.loss_terms, "guide": GradientProjection.guide}[overflow]
    if overflow == "loss":
        monkeypatch.setattr(
            CoOp, "loss_terms", lambda *a: {k: 1e32 * v for k, v in hook(*a).items()}
        )
    else:
        monkeypatch.setattr(GradientProjection, "guide", lambda *a: 1e32 * hook(*a))
    model, grad_scaler = build("CoOp", ["gradient_projection"]), scaler(enabled=True)
    before = prompts(model)
    train(model, grad_scaler)
    assert all(torch.equal(before[k], v) for k, v in prompts(model).items())
    assert grad_scaler.get_scale() == 2**15
    unscaled = build("CoOp", ["gradient_projection"])  # without a scale it is no overflow
    train(unscaled)
    assert not torch.equal(before["ctx"], prompts(unscaled)["ctx"])


@pytest.mark.parametrize("precision", ["bf16", "amp"])
@pytest.mark.parametrize("method", TRAINED)
def test_low_precisions_change_a_regularised_step_little(method, precision):
    parts = [name for name, kind in REGULARISERS.items() if not kind.unfit(type(build(method)))]
    low, exact = build(method, parts, PREC=precision), build(method, parts)
    one, other = train(low, steps=2), train(exact, steps=2)
    assert one.keys() == other.keys()
    for name in one.keys() - {"acc"}:
        assert abs(one[name] - other[name]) < 0.1 * max(1, abs(other[name])), name
    assert all(value.isfinite().all() for value in prompts(low).values())
