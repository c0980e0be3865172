"""MultiModeOT and ALIGN on a tiny CLIP: special cases, features, what is trained."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from multimode_ot.methods.multimode_ot import MultiModeOT
from parity import NAMES, random_images, reference, settings
from random_clip import random_clip
from slow_reference import norm

TINY = "tiny-vit"
# A stopping rule is shared by all problems of a call, so logits of other companies or orders agree
# as closely as it is tight; this is the tightest that float32 always reaches.
TIGHT = {"TOLERANCE": 1e-5, "MAX_ITERATIONS": 2000}
SMALL = {"PROMPT_DEPTH": 3, "TEXT_PROMPT_NUMBER": 2, "VISION_PROMPT_NUMBER": 2}


def tiny(names=NAMES, method="MultiModeOT", shape=TINY, seed=0, **changes) -> MultiModeOT:
    torch.manual_seed(seed)
    node = settings(method, **SMALL | changes)
    return build_model(method, random_clip(shape), names, node)


@pytest.fixture(scope="module")
def images():
    return random_images(TINY, 2)


def vary(model: MultiModeOT) -> MultiModeOT:
    """Give the model prompts that differ far more than fresh ones, as trained ones do."""
    torch.manual_seed(1)
    for key, parameter in model.prompt_learner.named_parameters():
        if "proj" not in key:
            parameter.data.normal_(std=0.5)
    return model


# Special cases


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("words", ["a photo of a", ""])
@pytest.mark.parametrize("alignment", ["hierarchical", "prompt"])
def test_one_mode_and_beta_zero_is_maple(images, depth, words, alignment):
    prompts = keys.random_prompts(keys.coupled(TINY, depth, 2))
    multi = {k: v[None] if "ctx" in k or "prompts_text" in k else v for k, v in prompts.items()}
    model = tiny(
        PROMPT_DEPTH=depth,
        TEXT_PROMPT_NUMBER=1,
        VISION_PROMPT_NUMBER=1,
        CTX_INIT=words,
        ALIGNMENT=alignment,
        BETA=0.0 if alignment == "hierarchical" else 1.0,
    )
    assert not model.load_prompts(multi).missed
    expected = reference(TINY).maple(images, NAMES, prompts, words)
    torch.testing.assert_close(model(images), expected, atol=1e-4, rtol=0)


def test_identical_prompts_are_one_prompt(images):
    one = vary(tiny(CTX_INIT="", COUPLED=False, TEXT_PROMPT_NUMBER=1, VISION_PROMPT_NUMBER=1))
    many = tiny(CTX_INIT="", COUPLED=False, TEXT_PROMPT_NUMBER=2, VISION_PROMPT_NUMBER=3)
    for key, parameter in many.prompt_learner.named_parameters():
        parameter.data.copy_(one.prompt_learner.get_parameter(key))  # broadcast over the modes
    torch.testing.assert_close(many(images), one(images), atol=1e-4, rtol=0)


def test_the_order_of_the_prompts_is_irrelevant(images):
    model = vary(tiny(CTX_INIT="", COUPLED=False, VISION_PROMPT_NUMBER=3))
    before = model(images)
    for parameter in model.prompt_learner.parameters():
        parameter.data.copy_(parameter.data.flip(0))
    torch.testing.assert_close(model(images), before, atol=1e-4, rtol=0)


@pytest.mark.parametrize("transport", ["sinkhorn", "ct", "emd"])
def test_padding_a_class_changes_no_logit(images, transport):
    changes = {"TRANSPORT": transport} | TIGHT
    model = vary(tiny(**changes)).eval()
    alone = model(images)
    model.set_classes([*NAMES, "a class whose name is as long as names of classes hardly ever are"])
    together = model(images)
    torch.testing.assert_close(together[:, : len(NAMES)], alone, atol=1e-3, rtol=0)


def test_infinite_epsilon_is_the_mean_alignment_with_uniform_token_plans(images):
    whole, mean = (
        vary(tiny(EPSILON=float("inf"), ALIGNMENT=alignment))(images)
        for alignment in ("hierarchical", "mean")
    )
    torch.testing.assert_close(whole, mean, atol=1e-4, rtol=0)


def test_small_epsilon_approaches_exact_transport(images):
    exact = vary(tiny(TRANSPORT="emd")).eval()(images)
    gaps = [
        (vary(tiny(EPSILON=e, MAX_ITERATIONS=5000))(images) - exact).abs().max()
        for e in (0.1, 0.001)
    ]
    assert gaps[1] < 0.02 < gaps[0]


# What the features are


@pytest.mark.parametrize("words", ["a photo of a", "a photo of a\tone big picture", ""])
def test_text_tokens_are_context_other_words_and_name(words):
    """SOS, full stop and EOS are left out; what is masked is no token."""
    model, slow = vary(tiny(CTX_INIT=words)), reference(TINY)
    features, prompts = model.class_features(), model.prompt_learner().text
    prefixes = [p or "X X" for p in (words.split("\t") + ["", ""])[:2]]
    for k, name in enumerate(NAMES):
        for n, prefix in enumerate(prefixes):
            row, eos = slow.prompt(prefix, name, prompts[0][n])
            outputs = norm(slow.text_outputs(row, [p[n] for p in prompts[1:]]))
            tokens = features.tokens[k, n][features.mask[k, n]]
            torch.testing.assert_close(tokens, outputs[1 : eos - 1], atol=1e-5, rtol=0)
            torch.testing.assert_close(features.pooled[k, n], outputs[eos], atol=1e-5, rtol=0)


def test_image_tokens_are_patches_and_visual_prompts(images):
    model, slow = vary(tiny()), reference(TINY)
    features, prompts = model.image_features(images), model.prompt_learner().vision
    assert features.tokens.shape[:3] == (2, 2, 16 + 2) and features.mask is None
    for b, image in enumerate(images):
        for m in range(2):
            outputs = norm(slow.image_outputs(image, [p[m] for p in prompts]))
            torch.testing.assert_close(features.pooled[b, m], outputs[0], atol=1e-5, rtol=0)
            torch.testing.assert_close(features.tokens[b, m], outputs[1:], atol=1e-5, rtol=0)


def test_a_resnet_has_one_visual_mode_and_its_local_outputs():
    model = tiny(shape="tiny-resnet")
    features = model.image_features(random_images("tiny-resnet", 2))
    assert features.tokens.shape[:3] == (2, 1, 4)


# What is trained


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, {"ctx", "proj", "compound_prompts_text", "compound_prompt_projections"}),
        ({"PROMPT_DEPTH": 1}, {"ctx", "proj"}),
        ({"PROMPT_DEPTH": 1, "TRANSPORT": "ct"}, {"ctx", "proj", "log_phi"}),
        ({"PROMPT_DEPTH": 1, "VISION_PROMPT_NUMBER": 0}, {"ctx"}),
        (
            {"COUPLED": False, "VISION_PROMPT_NUMBER": 3},
            {"ctx", "compound_prompts_text", "ctx_vision", "compound_prompts_vision"},
        ),
    ],
)
def test_the_settings_say_which_prompts_and_projections_are_trained(changes, expected):
    learner = tiny(**changes).prompt_learner
    assert {k.split(".")[0] for k, _ in learner.named_parameters()} == expected


def test_the_temperature_starts_at_epsilon_and_stays_positive():
    model = tiny(TRANSPORT="ct", EPSILON=0.3)
    torch.testing.assert_close(model.head().transport.phi, torch.tensor(0.3))
    model.prompt_learner.log_phi.data -= 50
    assert model.head().transport.phi > 0


def test_init_sentences_start_one_prompt_each():
    model, slow = (
        tiny(CTX_INIT="a_photo of a\tone big picture", TEXT_PROMPT_NUMBER=2),
        reference(TINY),
    )
    for n, sentence in enumerate(["a photo of a", "one big picture"]):
        assert torch.equal(model.prompt_learner.ctx[n].data, slow.embed(sentence)[1:3])
    assert (tiny(CTX_INIT="").prompt_learner.ctx.std() - 0.02).abs() < 0.005
