"""What MultiModeOT and ALIGN refuse, and what loading prompts reports."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, random_images, settings
from random_clip import random_clip

TINY = "tiny-vit"


def tiny(method="MultiModeOT", **changes):
    changes = {"PROMPT_DEPTH": 3} | changes
    return build_model(method, random_clip(TINY), NAMES, settings(method, **changes))


# Settings


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"PROMPT_DEPTH": 4}, ["PROMPT_DEPTH 4", "at most 3", "visual layers"]),
        ({"PROMPT_DEPTH": 5, "VISION_PROMPT_NUMBER": 0}, ["at most 4", "text layers"]),
        ({"VISION_PROMPT_NUMBER": 2}, ["VISION_PROMPT_NUMBER 2", "4 text prompts", "COUPLED"]),
        ({"HEAD": "released", "ALIGNMENT": "mean"}, ["ALIGNMENT 'mean'", "HEAD released"]),
        ({"HEAD": "released", "TRANSPORT": "ct"}, ["TRANSPORT 'ct'", "HEAD released"]),
        ({"HEAD": "released", "BETA": 0.5}, ["BETA 0.5", "HEAD released"]),
        ({"CTX_INIT": "photo"}, ["CTX_INIT 'photo'", "1 tokens", "N_CTX 2"]),
        ({"CTX_INIT": "a photo\t" * 5}, ["CTX_INIT", "5 sentences", "4 text prompts"]),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_what_would(changes, words):
    with pytest.raises(ValueError) as refusal:
        tiny(**changes)
    assert all(word in str(refusal.value) for word in words), refusal.value


@pytest.mark.parametrize(
    "changes",
    [{"ALIGNMENT": "mean"}, {"TRANSPORT": "ct"}, {"COUPLED": False}, {"BETA": 0.0}],
)
def test_align_is_align(changes):
    with pytest.raises(ValueError, match=rf"TRAINER\.ALIGN\.{next(iter(changes))}"):
        tiny("ALIGN", **changes)
    tiny("MultiModeOT", **changes)


# Numbers


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
