"""ZS-LP, CLAP, LP++ and the linear probe compute what their formulas say."""

import math

import pytest
import slow_probes as slow
import torch
from any_method import VIT, Case
from multimode_ot import build_model
from multimode_ot.backbone.few_shot_templates import TASKRES_TEMPLATES, TIP_ADAPTER_TEMPLATES
from multimode_ot.methods.linear_probe import search
from multimode_ot.methods.logistic import LogisticRegression
from multimode_ot.regularisers import Seen
from multimode_ot.training.step import training_step
from parity import NAMES, random_images, settings
from random_clip import random_state

CLASSES, SHAPES = len(NAMES), (VIT, "tiny-resnet")
READABLE = [name.replace("_", " ") for name in NAMES]
LABELS = torch.arange(2 * CLASSES) % CLASSES
DATASETS = (None, "ImageNet", "OxfordPets")


def templates(table, dataset):
    return table.get(dataset, ("a photo of a {}.",))


def built(method, shape=VIT, dataset=None, **changes):
    torch.manual_seed(0)
    cfg = settings(method, **changes)
    return build_model(method, random_state(shape), NAMES, cfg, dataset=dataset)


def passes(model, shape, count):
    """Features `(count, 6, d)` of other images in each pass, made by the model."""
    images = random_images(shape, count * len(LABELS))
    features = model.image_features(images).view(count, len(LABELS), -1)
    return features, images.view(count, len(LABELS), *images.shape[1:])


def move(model, size=0.3):
    """Away from the start, where nothing holds back."""
    generator = torch.Generator().manual_seed(2)
    for tensor in model.prompt_learner.parameters():
        tensor.data += size * torch.randn(tensor.shape, generator=generator)


def near(found, expected, relative=1e-5):
    found, expected = (torch.as_tensor(x).detach().double() for x in (found, expected))
    gap = (found - expected).norm() / expected.norm()
    assert gap < relative, f"{gap:.1e}"


def aligned(found, expected):
    cosine = torch.cosine_similarity(found.double().flatten(), expected.flatten(), dim=0)
    assert cosine > 0.99999, cosine


def stepped(model, images, labels, lr, steps):
    """Losses of so many SGD steps on a batch."""
    trained = model.prompt_learner.parameters()
    optimizer = torch.optim.SGD(trained, lr=lr, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return [training_step(model, optimizer, scaler, images, labels) for _ in range(steps)]


# ZS-LP and CLAP.


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


# LP++.


def lppp(shape=VIT, dataset=None, **changes):
    """Model, its images' features, and the same by the reference."""
    model, clip = built("LPPP", shape, dataset, **changes), slow.SlowCLIP(shape)
    features, images = passes(model, shape, 1)
    bias = model.prompt_learner.bias.detach().double()
    model.collect(features, LABELS)
    z = [slow.unit(clip.image(image)) for image in images[0]]
    text = [clip.unit_text(n, templates(TIP_ADAPTER_TEMPLATES, dataset)) for n in READABLE]
    return model, features[0], z, text, bias


@pytest.mark.parametrize("shape, dataset", [(VIT, None), (VIT, "ImageNet"), (SHAPES[1], "Food101")])
def test_lppp_starts_at_sums_and_takes_its_steps_from_the_data(shape, dataset):
    model, _, z, text, bias = lppp(shape, dataset)
    start = slow.lppp_start(z, LABELS.tolist(), text)
    near(model.prompt_learner.weight, torch.stack(start["w"]))
    near(model.prompt_learner.alpha, start["alpha"].repeat(CLASSES), 1e-4)
    near(model.optimiser_arguments()["lr"], start["lr"])
    near(model.chosen["alpha_lr"], start["alpha_lr"], 1e-4)
    assert torch.equal(model.prompt_learner.bias.double(), bias)
    assert bias.abs().max() <= model.clip.embed_width**-0.5 and bias.std() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_lppp_equals_its_formulas(shape):
    model, features, z, text, _ = lppp(shape)
    move(model)
    learner = model.prompt_learner
    leaves = [
        t.detach().double().requires_grad_() for t in (learner.weight, learner.bias, learner.alpha)
    ]
    wanted = slow.lppp_logits(z, text, *leaves)
    logits = model(features)
    assert (logits - torch.stack([torch.stack(row) for row in wanted])).abs().max() < 1e-4
    loss = model.loss_terms(Seen(model, features, LABELS, None, None, logits))["cross_entropy"]
    expected = slow.cross_entropy(wanted, LABELS.tolist())
    near(loss, expected, 1e-4)
    loss.backward()
    expected.backward()
    for tensor, leaf in zip((learner.weight, learner.bias, learner.alpha), leaves, strict=True):
        aligned(tensor.grad, leaf.grad)


@pytest.mark.parametrize("gradient", ["accumulated", "current"])
def test_lppp_after_epochs_with_two_steps_of_alpha(gradient):
    model, features, z, text, bias = lppp(ALPHA_GRADIENT=gradient)
    rate = model.optimiser_arguments()["lr"]
    trained = model.prompt_learner
    optimizer = torch.optim.SGD(trained.parameters(), lr=rate, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    alphas = []
    slowly = slow.lppp_epochs(z, LABELS.tolist(), text, bias, 23, gradient == "accumulated")
    for epoch, (w, b, alpha) in enumerate(slowly, 1):
        (batch,) = model.batches(epoch - 1, 1, len(LABELS), 2)
        assert batch.tolist() == list(range(len(LABELS)))
        training_step(model, optimizer, scaler, features[batch], LABELS[batch])
        model.epoch_ended(epoch, 23)
        alphas.append(trained.alpha.detach().clone())
        for tensor, wanted in zip(
            (trained.weight, trained.bias, trained.alpha), (w, b, alpha), strict=True
        ):
            near(tensor, wanted, 1e-5 if epoch <= 3 else 1e-3)
    moved = [epoch for epoch in range(2, 24) if not torch.equal(*alphas[epoch - 2 : epoch])]
    assert moved == [10, 20] and alphas[22].std() > 0


def test_the_last_of_the_best_epochs_is_kept():
    model = built("LPPP", TUNE="val")
    features, _ = passes(model, VIT, 1)
    model.collect(features, LABELS)
    # Of the weights at hand only the bias counts: all images are of one class.
    model.prompt_learner.weight.data.zero_()
    model.encoded = lambda split: {"val": (features[0], torch.tensor([0, 0, 0, 1, 1, 2]))}[split]
    kept = []
    for epoch, one in enumerate([1, 0, 0, 2], 1):
        model.prompt_learner.alpha.data.fill_(epoch / 1000)
        model.prompt_learner.bias.data = 100 * torch.eye(CLASSES)[one]
        model.epoch_ended(epoch, 4)
        kept.append(model.best["epoch"])
    assert kept == [1, 2, 3, 3] and model.chosen["epoch"] == 3
    resumed = built("LPPP", TUNE="val")
    resumed.load_training_state(model.training_state())
    resumed.training_ended()
    assert resumed.prompt_learner.alpha.tolist() == pytest.approx([0.003] * CLASSES)


@pytest.mark.parametrize("method", ["ZSLP", "CLAP", "LPPP"])
def test_new_classes_are_those_of_zero_shot_clip(method):
    model, clip = Case(method).as_trained(), slow.SlowCLIP(VIT)
    new = ["dog", "tree_frog"]
    model.set_classes(["cat", *new])
    assert model.new_is_zero_shot
    model.set_classes(new)
    images = random_images(VIT, 3)
    names = [name.replace("_", " ") for name in new]
    rows = [[clip.scale * slow.unit(clip.image(i)) @ slow.unit(clip.text(f"a photo of a {n}."))
             for n in names] for i in images]  # fmt: skip
    assert (model(images) - torch.tensor(rows)).abs().max() < 1e-4


# The linear probe.


def problem(shots=4, width=12, classes=4, seed=0):
    """Features with a large mean, as CLIP's are, of classes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(classes * shots) % classes
    noise = torch.randn(len(labels), width, generator=generator)
    return 5 + centres[labels] + 2 * noise, labels


@pytest.mark.parametrize("strength", [1e-6, 1e-2, 1.0, 1e2, 1e6])
@pytest.mark.parametrize("shots", [1, 4])
def test_the_probe_is_at_the_optimum(strength, shots):
    features, labels = problem(shots)
    found = LogisticRegression(features, labels, 4).solve(strength)
    leaves = [t.clone().requires_grad_() for t in (found.weight, found.bias)]
    value = slow.probe_objective(*leaves, features.double(), labels.tolist(), strength)
    weight, bias = torch.autograd.grad(value, leaves)
    assert weight.norm() < 1e-6 * found.weight.norm() and bias.norm() < 1e-6 * found.weight.norm()
    assert found.gradient < 1e-6


def test_an_optimum_does_not_depend_on_where_the_solver_comes_from():
    features, labels = problem()
    solver = LogisticRegression(features, labels, 4)
    for strength in (1e6, 1e-4, 1e2, 1.0, 1e-6, 1e4):
        alone = LogisticRegression(features, labels, 4).solve(strength)
        near(solver.solve(strength).weight, alone.weight, 1e-6)


def test_it_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = problem()
    theirs = linear_model.LogisticRegression(C=0.3, tol=1e-12, max_iter=5000)
    theirs.fit(features.double().numpy(), labels.numpy())
    near(LogisticRegression(features, labels, 4).solve(0.3).weight, theirs.coef_)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steps", [0, 1, 8])
def test_the_chosen_c_is_that_of_a_plain_search(seed, steps):
    features, labels = problem(seed=seed)
    others, their_labels = problem(shots=3, seed=seed + 100)

    def hits(strength):
        fitted = LogisticRegression(features, labels, 4).solve(strength)
        return sum(
            int(row.argmax() == y) for row, y in zip(fitted(others), their_labels, strict=True)
        )

    found, _ = search(LogisticRegression(features, labels, 4), steps, others, their_labels)
    assert found == pytest.approx(slow.probe_search(hits, steps), rel=1e-9)


def test_a_probe_takes_its_c_from_the_images_it_is_given():
    model = built("LinearProbe")
    features, labels = problem(width=model.clip.embed_width, classes=CLASSES)
    others = problem(shots=3, width=model.clip.embed_width, classes=CLASSES, seed=1)
    model.encoded = lambda split: {"val": others}[split]
    model.fit(features[None], labels)
    strength, solution = search(LogisticRegression(features, labels, CLASSES), 8, *others)
    assert model.chosen == {"C": strength}
    near(model(features), solution(features))
    fixed = built("LinearProbe", TUNE="none", C=0.5)
    fixed.fit(features[None], labels)
    assert fixed.chosen == {"C": 0.5}


def test_a_probe_has_the_rows_of_fewer_classes_and_no_others():
    model = Case("LinearProbe").as_trained()
    images = random_images(VIT)
    before = model(images)
    model.set_classes(NAMES[::-1][:2])
    assert torch.equal(model(images), before[:, [2, 1]]) and not model.new_is_zero_shot
    with pytest.raises(ValueError, match=r"'dog' is none of the 3 .*: it has no text side"):
        model.set_classes(["cat", "dog"])
