"""ZS-LP and CLAP compute what their formulas say; settings of such methods that are none."""

import math

import pytest
import slow_probes as slow
import torch
from any_method import VIT
from multimode_ot.backbone.few_shot_templates import TASKRES_TEMPLATES
from multimode_ot.regularisers import Seen
from parity import NAMES
from probes import (
    DATASETS,
    LABELS,
    READABLE,
    SHAPES,
    aligned,
    built,
    move,
    near,
    passes,
    stepped,
    templates,
)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("names, raw", [(READABLE, False), (NAMES, True)])
def test_prototypes_start_at_the_raw_text_features(dataset, names, raw):
    model = built("ZSLP", dataset=dataset, CLASS_NAMES="raw" if raw else "readable")
    clip = slow.SlowCLIP(VIT)
    wanted = [clip.raw_text(n, templates(TASKRES_TEMPLATES, dataset)) for n in names]
    near(model.prompt_learner.prototypes, torch.stack(wanted))


def test_random_prototypes_have_the_deviation_of_he():
    found = built("ZSLP", INIT="RANDOM").prompt_learner.prototypes
    assert found.std().item() == pytest.approx(math.sqrt(2 / found.shape[1]), rel=0.2)


CONSTRAINTS = ["l2", "cosine", "l2_balanced", "l2_corrected", "cosine_constant", "balanced_cosine"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("named", ["none", *CONSTRAINTS])
def test_clap_equals_its_formulas(shape, named):
    model, clip = built("CLAP", shape, CONSTRAINT=named), slow.SlowCLIP(shape)
    features, images = passes(model, shape, 3)
    model.collect(features, LABELS)
    move(model)
    kind = "cosine" if "cosine" in named else "l2"
    variant = named.replace(kind, "").strip("_")
    text = [clip.raw_text(n, ["a photo of a {}."]) for n in READABLE]
    seen = [[clip.image(image) for image in each] for each in images]
    a = slow.multipliers(clip.scale, seen, LABELS.tolist(), text, variant)
    near(model.multipliers, torch.stack(a))

    def loss(leaves):
        rows = slow.prototype_logits(clip.scale, seen[1], leaves[0])
        total = slow.cross_entropy(rows, LABELS.tolist())
        return total + (0 if named == "none" else slow.constraint(leaves[0], text, a, kind))

    start = model.prompt_learner.prototypes.detach().double()
    logits = model(features[1])
    wanted = slow.prototype_logits(clip.scale, seen[1], start)
    assert (logits - torch.tensor(wanted)).abs().max() < 1e-5 * 10
    terms = model.loss_terms(Seen(model, features[1], LABELS, None, model.class_features(), logits))
    near(sum(terms.values()), loss([start]))
    if named != "none":
        near(terms["constraint"], slow.constraint(start, text, a, kind))
    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss([leaf]), leaf)
    sum(terms.values()).backward()
    aligned(model.prompt_learner.prototypes.grad, gradient)

    (summary, *_) = stepped(model, features[1], LABELS, 0.1, 3)
    assert set(summary) >= {"loss", "acc"} | ({"constraint"} if named != "none" else set())
    (wanted,) = slow.sgd([start], loss, 0.1, 3)
    near(model.prompt_learner.prototypes, wanted)


@pytest.mark.parametrize("named", ["l2-balanced", "balanced l2", "l2balanced"])
def test_the_words_of_a_constraint_count_however_they_are_joined(named):
    one, other = built("CLAP", CONSTRAINT=named), built("CLAP", CONSTRAINT="l2_balanced")
    features, _ = passes(one, VIT, 1)
    losses = []
    for model in (one, other):
        model.collect(features, LABELS)
        move(model)
        losses.append(stepped(model, features[0], LABELS, 0.1, 1))
    assert losses[0] == losses[1] and losses[0][0]["constraint"] > 0


def test_without_a_constraint_clap_is_zslp():
    clap, zslp = built("CLAP", CONSTRAINT="none"), built("ZSLP")
    features, _ = passes(clap, VIT, 1)
    for model in (clap, zslp):
        stepped(model, features[0], LABELS, 0.1, 3)
    assert torch.equal(clap.prompt_learner.prototypes, zslp.prompt_learner.prototypes)


def test_adaptative_multipliers_grow_from_the_second_epoch_on():
    model = built("CLAP", CONSTRAINT="l2_adaptative")
    features, _ = passes(model, VIT, 2)
    model.collect(features, LABELS)
    first, distances = model.multipliers, []
    for epoch in range(1, 5):
        stepped(model, features[0], LABELS, 0.1, 1)
        gaps = model.prompt_learner.prototypes - model.text_side()
        distances.append(gaps.double().square().sum(1).tolist())
        model.epoch_ended(epoch, 4)
        near(model.multipliers, torch.tensor(slow.outer_steps(distances, first.tolist())))
        assert torch.equal(model.multipliers, first) == (epoch == 1)


@pytest.mark.parametrize("images, count, size", [(6, 1, 120), (12, 1, 240), (13, 1, 256)])
def test_a_small_data_set_is_one_batch_of_a_cache(images, count, size):
    found = built("ZSLP").batches(0, 20, images, 256)
    assert [len(batch) for batch in found] == [size] * count


@pytest.mark.parametrize("images, batches", [(256, 1), (511, 1), (512, 2), (1000, 3)])
def test_an_epoch_sees_about_a_twentieth_of_the_cache(images, batches):
    model = built("CLAP")
    torch.manual_seed(0)
    one, other = (model.batches(epoch, 20, images, 256) for epoch in range(2))
    assert [len(batch) for batch in one] == [256] * batches
    drawn = torch.cat(one)
    assert len(drawn.unique()) == len(drawn) and drawn.max() > 18 * images
    assert not torch.equal(drawn, torch.cat(other))


@pytest.mark.parametrize(
    "method, key, value, words",
    [
        ("CLAP", "CONSTRAINT", "l3", ["'none'", "l2 or cosine", "l2_balanced"]),
        ("CLAP", "CONSTRAINT", "balanced", ["l2 or cosine"]),
        ("CLAP", "CONSTRAINT", "l25", ["l2 or cosine"]),
        ("CLAP", "CONSTRAINT", "l2_cosine", ["l2 or cosine"]),
        ("CLAP", "CONSTRAINT", "l2_none", ["l2 or cosine"]),
        ("CLAP", "CONSTRAINT", "l2_balanced_balanced", ["l2 or cosine"]),
        ("CLAP", "INIT", "TipA-f-", ["'ZS' or 'RANDOM'", "the trainer of that method"]),
        ("ZSLP", "INIT", "ClipA", ["'ZS' or 'RANDOM'"]),
        ("ZSLP", "INIT", "TR", ["'ZS' or 'RANDOM'"]),
        ("ZSLP", "INIT", "ZSgrid_search", ["'ZS' or 'RANDOM'"]),
        ("ZSLP", "INIT", "zs", ["did you mean ZS"]),
        ("LinearProbe", "VIEWS", 2, ["must be 0"]),
        ("LinearProbe", "CLASS_NAMES", "raw", ["no text"]),
        ("LinearProbe", "REGULARISERS", ("weight_average",), ["takes no steps"]),
        ("LPPP", "ALPHA_GRADIENT", "curent", ["did you mean current"]),
    ],
)
def test_a_setting_that_is_none_is_refused_by_its_key(method, key, value, words):
    with pytest.raises(ValueError) as refusal:
        built(method, **{key: value})
    assert str(refusal.value).startswith(f"TRAINER.{method.upper()}.{key} {value!r}")
    assert all(word in str(refusal.value) for word in words)


def test_one_epochs_weights_are_no_average():
    with pytest.raises(ValueError, match=r"TRAINER.LPPP.TUNE 'val': .* weight_average"):
        built("LPPP", TUNE="val", REGULARISERS=("weight_average",))
