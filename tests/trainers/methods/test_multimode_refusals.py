"""What MultiModeOT and ALIGN refuse, and what loading prompts reports."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, random_images, settings
from random_clip import random_state

TINY = "tiny-vit"


def tiny(method="MultiModeOT", shape=TINY, **changes):
    changes = {"PROMPT_DEPTH": 3} | changes
    return build_model(method, random_state(shape), NAMES, settings(method, **changes))


# Settings


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"PREC": "fp8"}, ["PREC", "'fp8'", "fp16"]),
        ({"HEAD": "papier"}, ["HEAD", "'papier'", "did you mean paper", "released"]),
        ({"ALIGNMENT": "none"}, ["ALIGNMENT", "'none'", "hierarchical, mean, prompt, token"]),
        ({"TRANSPORT": "sinkhorm"}, ["TRANSPORT", "'sinkhorm'", "did you mean sinkhorn"]),
        ({"N_CTX": 0}, ["N_CTX 0", "at least 1"]),
        ({"TEXT_PROMPT_NUMBER": 0}, ["TEXT_PROMPT_NUMBER 0", "at least 1"]),
        ({"VISION_PROMPT_NUMBER": -1}, ["VISION_PROMPT_NUMBER -1", "at least 0"]),
        ({"PROMPT_DEPTH": 0}, ["PROMPT_DEPTH 0", "at least 1"]),
        ({"PROMPT_DEPTH": 4}, ["PROMPT_DEPTH 4", "at most 3", "visual layers"]),
        ({"PROMPT_DEPTH": 5, "VISION_PROMPT_NUMBER": 0}, ["at most 4", "text layers"]),
        ({"MAX_ITERATIONS": 0}, ["MAX_ITERATIONS 0", "at least 1"]),
        ({"BETA": -0.5}, ["BETA -0.5", "at least 0"]),
        ({"BETA": float("nan")}, ["BETA nan", "at least 0"]),
        ({"TOLERANCE": -1.0}, ["TOLERANCE -1.0", "at least 0"]),
        ({"EPSILON": 0.0}, ["EPSILON 0.0", "more than 0"]),
        ({"VISION_PROMPT_NUMBER": 2}, ["VISION_PROMPT_NUMBER 2", "4 text prompts", "COUPLED"]),
        ({"HEAD": "released", "ALIGNMENT": "mean"}, ["ALIGNMENT 'mean'", "HEAD released"]),
        ({"HEAD": "released", "TRANSPORT": "ct"}, ["TRANSPORT 'ct'", "HEAD released"]),
        ({"HEAD": "released", "BETA": 0.5}, ["BETA 0.5", "HEAD released"]),
        ({"CTX_INIT": "photo"}, ["CTX_INIT 'photo'", "1 tokens", "N_CTX 2"]),
        ({"CTX_INIT": "a photo\t" * 5}, ["CTX_INIT", "5 sentences", "4 text prompts"]),
    ],
)
def test_a_bad_setting_is_refused_with_its_key_its_value_and_what_is_allowed(changes, words):
    with pytest.raises(ValueError) as refusal:
        tiny(**changes)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_settings_are_checked_before_weights_are_read():
    with pytest.raises(ValueError, match=r"TRAINER\.ALIGN\.N_CTX 0"):
        build_model("ALIGN", "no such file", NAMES, settings("ALIGN", N_CTX=0))


@pytest.mark.parametrize(
    "changes",
    [{"ALIGNMENT": "mean"}, {"TRANSPORT": "ct"}, {"COUPLED": False}, {"BETA": 0.0}],
)
def test_align_is_align(changes):
    with pytest.raises(ValueError, match=rf"TRAINER\.ALIGN\.{next(iter(changes))}"):
        tiny("ALIGN", **changes)
    tiny("MultiModeOT", **changes)


def test_an_unknown_method_and_no_classes_are_refused():
    with pytest.raises(ValueError, match="did you mean ALIGN"):
        build_model("ALINE", random_state(TINY), NAMES)
    for unordered in ({"cat", "dog"}, (name for name in NAMES), None, 5):
        with pytest.raises(ValueError, match=f"classnames is a {type(unordered).__name__}: give"):
            build_model("ALIGN", random_state(TINY), unordered)
    with pytest.raises(ValueError, match="classnames is empty"):
        build_model("ALIGN", random_state(TINY), [])


def test_a_name_beyond_the_context_is_quoted():
    with pytest.raises(ValueError, match="wordy wordy"):
        build_model("ALIGN", random_state(TINY), ["cat", "wordy " * 80])


# Images and numbers


@pytest.mark.parametrize("size", [(3, 32, 32), (2, 3, 64, 64), (2, 1, 32, 32)])
def test_images_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match="takes"):
        tiny()(torch.zeros(size))


@pytest.mark.parametrize("head", ["paper", "released"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_nan_in_an_image_names_the_tensor_and_the_row(head, training, bad):
    model = tiny(HEAD=head).train(training)
    images = random_images(TINY, 3)
    images[1, 0, 5, 5] = bad
    with pytest.raises(FloatingPointError, match=r"images \(rows \[1\]\)"):
        model(images)


@pytest.mark.parametrize("head", ["paper", "released"])
def test_a_nan_in_a_prompt_names_the_prompt(head):
    model = tiny(HEAD=head)
    with torch.no_grad():
        model.prompt_learner.compound_prompts_text[1][2, 0, 7] = torch.nan
    for run in (model, model.diagnose):
        with pytest.raises(FloatingPointError, match=r"prompts\.compound_prompts_text\.1"):
            run(random_images(TINY))


def test_nan_class_features_name_the_tensor():
    model = tiny()
    text = model.class_features()
    tokens = text.tokens.clone()
    tokens[2, 1, 0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"class_features\.tokens \(rows \[2\]\)"):
        model(random_images(TINY), text._replace(tokens=tokens))


# Prompts of the released program


def released_checkpoint(**extra):
    prompts = keys.random_prompts(keys.coupled(TINY, 3, 4, 2))
    return prompts | {
        "prompt_learner.token_prefix": torch.zeros(12, 1, 64),
        "prompt_learner.token_suffix": torch.zeros(12, 74, 64),
        "image_encoder.class_embedding": torch.zeros(128),
        "text_encoder.ln_final.weight": torch.zeros(64),
        "logit_scale": torch.zeros(()),
        **extra,
    }


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_released_checkpoint_is_sorted_into_used_and_ignored(prefix, dtype):
    state = {prefix + k: v.to(dtype) for k, v in released_checkpoint().items()}
    model = tiny("ALIGN")
    frozen = {k: v.clone() for k, v in model.clip.state_dict().items()}
    report = model.load_prompts(state)
    assert report.used == tuple(k for k in state if "prompt_learner" in k and "token_" not in k)
    assert set(report.ignored) == set(state) - set(report.used)
    assert report.missed == report.unexpected == ()
    for key, value in model.prompt_learner.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[f"{prefix}prompt_learner.{key}"].float())
    assert all(torch.equal(v, frozen[k]) for k, v in model.clip.state_dict().items())


def test_missed_and_unexpected_prompts_are_reported():
    state = released_checkpoint(adapter=torch.zeros(1))
    del state["prompt_learner.proj.bias"]
    report = tiny("ALIGN").load_prompts(state)
    assert report.missed == ("proj.bias",) and report.unexpected == ("adapter",)
    deeper = tiny("ALIGN", PROMPT_DEPTH=2).load_prompts(state)
    assert "prompt_learner.compound_prompts_text.1" in deeper.unexpected


def test_its_own_state_dict_goes_round_and_to_other_classes():
    one, other = tiny(), build_model("MultiModeOT", random_state(TINY), ["x", "y"])
    report = other.load_prompts(one.prompt_learner.state_dict())
    assert not report.missed and not report.ignored and not report.unexpected
    other.set_classes(NAMES)
    images = random_images(TINY)
    assert torch.equal(one(images), other(images))


def test_prompts_of_another_shape_change_nothing_and_are_named():
    model = tiny("ALIGN", TEXT_PROMPT_NUMBER=2, VISION_PROMPT_NUMBER=2)
    before = {k: v.clone() for k, v in model.prompt_learner.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"prompt_learner\.ctx has shape \(4, 2, 64\).*\(2, 2, 64\)"
    ):
        model.load_prompts(released_checkpoint())
    assert all(torch.equal(v, before[k]) for k, v in model.prompt_learner.state_dict().items())


def test_a_state_dict_without_prompts_is_refused():
    with pytest.raises(ValueError, match="no prompts of ALIGN"):
        tiny("ALIGN").load_prompts({"logit_scale": torch.zeros(())})
