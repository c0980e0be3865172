"""KgCoOp, ProGrad and PromptSRC beside plain loops of their programs, as they are by default."""

import copy

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.backbone.encoders import encode_image, normalised
from multimode_ot.backbone.templates import ENSEMBLE_TEMPLATES, PROGRAD_TEMPLATES, dataset_template
from multimode_ot.regularisers import Seen
from parity import NAMES, random_images, settings
from random_clip import random_clip
from regularised import DTYPES, assert_equal, both, changes, gradients, seen, train
from slow_methods import slow_towers
from slow_presets import (
    PROGRAD_WORDS,
    R,
    kgcoop_case,
    prograd,
    prograd_case,
    prograd_forward,
    prograd_start,
    promptsrc_case,
)
from slow_regularisers import (
    Teacher,
    agreement,
    cross_entropy,
    frozen_consistency,
    kgcoop,
    promptsrc,
    template_consistency,
)

RATE, TINY = 0.01, "tiny-vit"
LOSSES = {torch.float32: 1e-5, torch.float64: 1e-7}  # relative
# Relative; in float32 a change is small beside the weight that it is added to.
CHANGES = {torch.float32: 3e-4, torch.float64: 1e-7}
in_both_types = pytest.mark.parametrize("dtype", DTYPES, ids=str)
TEXTURES = "a photo of a {}, a type of texture."
WORDS = "a photo of a"
PETS = "a type of pet, a photo of a {}."


def three_epochs(pair):
    """Other images in each of two batches; labels as zero-shot CLIP would give them, and as it
    never would."""
    draw, made = torch.Generator().manual_seed(5), []
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ["a photo of a {}."])
    scores = torch.tensor([[float(x) for x in row] for row in teacher.logits])
    for epoch in range(3):
        images = [torch.randn(pair.images.shape, generator=draw, dtype=torch.double)]
        labels = [(torch.arange(len(pair.labels)) + epoch) % len(NAMES)]
        images.append(pair.images.double().roll(epoch, -1))
        labels.append(scores.argmin(1) if epoch % 2 else scores.argmax(1))
        made.append(list(zip(images, labels, strict=True)))
    return made


def snapshot(state):
    return {k: v.detach().clone() for k, v in state.items()}


def assert_trained_alike(pair, before, dtype):
    ours, slow = changes(pair.parameters, before), changes(pair.leaves, before)
    assert_equal(ours, slow, CHANGES[dtype])
    for key, parameter in pair.parameters.items():
        gap = (parameter.detach().double() - pair.leaves[key].detach()).abs().max()
        assert gap < 1e-5, (key, float(gap))


def assert_logits(pair, expected):
    with torch.no_grad():
        ours = pair.model.eval()(pair.images)
    pair.model.train()
    torch.testing.assert_close(ours.double(), expected.detach().double(), rtol=1e-5, atol=1e-4)


KGCOOP = {
    "words": kgcoop_case(CTX_INIT=WORDS),
    "random": kgcoop_case(N_CTX=5),
    "class-specific": kgcoop_case(N_CTX=4, CSC=True),
}


@in_both_types
@pytest.mark.parametrize("case", KGCOOP)
def test_kgcoop_is_its_program(case, dtype):
    pair = both(KGCOOP[case], dtype, None, dataset="DescribableTextures")
    before, epochs = snapshot(pair.leaves), three_epochs(pair)
    made = pair.made()
    assert_logits(pair, made.logits)
    term = template_consistency(pair.slow, made, NAMES, TEXTURES, 8.0)
    (ours,) = pair.model.regularisers["template_consistency"].loss_terms(seen(pair)).values()
    assert_equal({"": ours}, {"": term}, LOSSES[dtype])
    assert_equal(gradients(ours, pair.parameters), gradients(term, pair.leaves), LOSSES[dtype])

    summaries = train(pair, epochs, RATE)
    losses = kgcoop(pair.slow, pair.forward, pair.leaves, epochs, NAMES, RATE, template=TEXTURES)
    assert [s["loss"] for s in summaries] == pytest.approx(losses, rel=LOSSES[dtype])
    assert list(summaries[0]) == ["loss", "cross_entropy", "template_consistency", "acc"]
    assert_trained_alike(pair, before, dtype)


PROGRAD = {
    "pets": (prograd_case(9, CTX_INIT=True), "OxfordPets", {}),
    "food, no room": (prograd_case(7, CTX_INIT=True), "Food101", {"LAMBDA": 0.8, "T": 2.0}),
    "textures": (prograd_case(16, CTX_INIT=True), "DescribableTextures", {"LAMBDA": 0.8}),
    "cars on a ResNet": (prograd_case(6, R, CTX_INIT=True), "StanfordCars", {}),
    "random": (prograd_case(4), "OxfordPets", {"T": 0.5}),
}


@in_both_types
@pytest.mark.parametrize("case", PROGRAD)
def test_prograd_is_its_program(case, dtype):
    given, dataset, rule = PROGRAD[case]
    pair = both(given, dtype, None, {"gradient_projection": rule}, dataset=dataset)
    forward = prograd_forward(pair.slow, dataset if "CTX_INIT" in given.settings else None)
    template = dataset_template(dataset, PROGRAD_TEMPLATES)
    temperature, share = rule.get("T", 1.0), rule.get("LAMBDA", 1.0)
    before, epochs = snapshot(pair.leaves), three_epochs(pair)

    made, sight = forward(pair.images.double(), NAMES, pair.leaves), seen(pair)
    assert_logits(pair, made.logits)
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, [template])
    ours = {
        "cross_entropy": pair.model.loss_terms(sight)["cross_entropy"],
        "guide": pair.model.regularisers["gradient_projection"].guide(sight),
    }
    slow = {
        "cross_entropy": cross_entropy(made, pair.labels),
        "guide": agreement(made, teacher, temperature),
    }
    assert_equal(ours, slow, LOSSES[dtype])
    for name, loss in slow.items():
        got, wanted = gradients(ours[name], pair.parameters), gradients(loss, pair.leaves)
        assert_equal(got, wanted, LOSSES[dtype])

    summaries = train(pair, epochs, RATE)
    leaves = pair.leaves
    steps = prograd(pair.slow, forward, leaves, epochs, NAMES, RATE, template, share, temperature)
    losses, guides, conflicts = map(list, zip(*steps, strict=True))
    assert any(conflicts) and not all(conflicts)
    assert [s["loss"] for s in summaries] == pytest.approx(losses, rel=LOSSES[dtype])
    found = [s["gradient_projection"] for s in summaries]
    assert found == pytest.approx(guides, rel=LOSSES[dtype])
    assert_trained_alike(pair, before, dtype)


@pytest.mark.parametrize("n_ctx", ["as many as words", 16])
@pytest.mark.parametrize("dataset", PROGRAD_WORDS)
def test_prograds_context_starts_with_zeros_and_the_words_of_the_data_set(dataset, n_ctx):
    _, learned, left = PROGRAD_WORDS[dataset]
    n_ctx = learned if isinstance(n_ctx, str) else n_ctx
    node = settings("ProGrad", CTX_INIT=True, N_CTX=n_ctx)
    model = build_model("ProGrad", random_clip(TINY), NAMES, node, dataset=dataset).eval()
    slow = slow_towers(TINY)
    start = prograd_start(slow, dataset, n_ctx)
    assert start[n_ctx - learned :].any(1).all() and not start[: n_ctx - learned].any()
    assert torch.equal(model.prompt_learner.ctx.double(), start)
    assert bool(left) == (dataset in ("OxfordPets", "OxfordFlowers", "FGVCAircraft", "Food101"))
    images = random_images(TINY)
    expected = prograd_forward(slow, dataset)(images.double(), NAMES, {"ctx": start}).logits
    torch.testing.assert_close(model(images).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dataset", [None, "EuroSAT"])
def test_a_class_name_may_stand_in_front_of_prograds_words(dataset):
    case = prograd_case(6, CTX_INIT=True, CLASS_TOKEN_POSITION="front")
    pair = both(case, torch.float32, None, dataset=dataset)
    forward = prograd_forward(pair.slow, dataset, "front")
    assert_logits(pair, forward(pair.images.double(), NAMES, pair.leaves).logits)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_prograds_teacher_sees_images_in_float32(precision, monkeypatch):
    node = settings("ProGrad", PREC=precision)
    model = build_model("ProGrad", random_clip(TINY), NAMES, node).train()
    keys, images = model.state_dict().keys(), random_images(TINY)
    asked, encode = [], type(model).frozen_image
    monkeypatch.setattr(
        type(model), "frozen_image", lambda *a, **k: asked.append(encode(*a, **k)) or asked[-1]
    )
    sight = Seen(model, images, torch.tensor([0, 1]), *model.see(images))
    model.regularisers["gradient_projection"].guide(sight)
    rounded = random_clip(TINY)
    if precision == "bf16":
        rounded = copy.deepcopy(rounded).cast(torch.bfloat16).cast(torch.float32)
    expected = normalised(encode_image(rounded, images, pooled_only=True)[:, 0, 0])
    assert len(asked) == 1 and torch.equal(asked[0], expected)
    assert model.state_dict().keys() == keys
    assert not any(p.requires_grad for p in model.clip.parameters())


PROMPTSRC = {
    "both towers": promptsrc_case(3, 2),
    "text alone": promptsrc_case(2, 0),
    "one layer": promptsrc_case(1, 1, N_CTX_TEXT=2),
}


@in_both_types
@pytest.mark.parametrize("case", PROMPTSRC)
def test_promptsrc_is_its_program(case, dtype):
    image = "alone" not in case
    average = {"weight_average": {"MEAN": 2.0, "STD": 1.0}}
    pair = both(PROMPTSRC[case], dtype, None, average, dataset="OxfordPets")
    before, epochs = snapshot(pair.leaves), three_epochs(pair)
    made, sight = pair.made(), seen(pair)
    assert_logits(pair, made.logits)
    teacher = Teacher(pair.slow, pair.images.double(), NAMES, ENSEMBLE_TEMPLATES)
    slow = frozen_consistency(made, teacher, 25, 10 if image else None, 1)
    ours = pair.model.regularisers["frozen_consistency"].loss_terms(sight)
    assert_equal(ours, slow, LOSSES[dtype])
    for name, term in slow.items():
        got, wanted = gradients(ours[name], pair.parameters), gradients(term, pair.leaves)
        assert_equal(got, wanted, LOSSES[dtype])

    summaries = train(pair, epochs, RATE)
    losses, last = promptsrc(
        pair.slow, pair.forward, pair.leaves, epochs, NAMES, RATE, ENSEMBLE_TEMPLATES, 2, 1, image
    )
    assert [s["loss"] for s in summaries] == pytest.approx(losses, rel=LOSSES[dtype])
    assert_trained_alike(pair, before, dtype)
    assert any((pair.leaves[key] - last[key]).abs().max() > 1e-4 for key in last)
