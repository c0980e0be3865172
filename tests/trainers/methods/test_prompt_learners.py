"""How the prompts of the methods start, and what settings of theirs do not go together."""

import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, random_images, settings
from random_clip import random_clip

TINY = "tiny-vit"


def words(clip, sentence):
    import clip as package

    ids = package.tokenize([sentence])[0]
    return clip.token_embedding(ids[1 : ids.argmax()].long())


def settings_for(method, **changes):
    depths = {k: 3 for k in settings(method) if "PROMPT_DEPTH" in k}
    return settings(method, **depths | changes)


@pytest.mark.parametrize("method", ["CoOp", "CoCoOp", "MaPLe", "IVLP", "VPT", "PLOT", "ALIGN"])
def test_a_random_context_has_the_deviation_of_the_originals(method):
    torch.manual_seed(0)
    free = {"CTX_INIT": ""} if method != "VPT" else {}
    model = build_model(method, random_clip(TINY), NAMES, settings_for(method, **free))
    prompts = [
        p
        for k, p in model.prompt_learner.named_parameters()
        if k.rsplit(".", 1)[-1] in ("ctx", "VPT", "VPT_shallow") or "prompts_text" in k
    ]
    assert torch.cat([p.detach().flatten() for p in prompts]).std().item() == pytest.approx(
        0.02, rel=0.2
    )


@pytest.mark.parametrize("method", ["CoOp", "CoCoOp"])
@pytest.mark.parametrize("sentence", ["a photo of a", "this_is_a_photo_of"])
def test_initial_words_decide_the_length_of_the_context(method, sentence):
    model = build_model(method, random_clip(TINY), NAMES, settings(method, CTX_INIT=sentence))
    expected = words(model.clip, sentence.replace("_", " "))
    assert torch.equal(model.prompt_learner.ctx, expected)


@pytest.mark.parametrize("method, key", [("MaPLe", "N_CTX"), ("IVLP", "N_CTX_TEXT")])
def test_the_first_words_are_learned_and_the_others_stay_in_the_prompt(method, key):
    node = settings_for(method, **{key: 2, "CTX_INIT": "a photo of a"})
    model = build_model(method, random_clip(TINY), ["cat"], node)
    sentence = words(model.clip, "a photo of a cat.")
    (context, *_), _ = model.prompts()
    assert torch.equal(context, sentence[:2])
    classes = model.classes
    kept = torch.cat([classes.head_words[0, 3:], classes.tail_words[:-1]])  # to the EOS
    assert torch.equal(kept, sentence[2:])


def test_the_deep_projections_of_maple_start_as_one():
    model = build_model("MaPLe", random_clip(TINY), NAMES)
    first, *others = model.prompt_learner.compound_prompt_projections
    assert others and all(torch.equal(f.weight, first.weight) for f in others)
    assert not torch.equal(model.prompt_learner.proj.weight, first.weight)


def test_the_fixed_text_of_vpt_is_encoded_once_and_serves_training():
    model, images = build_model("VPT", random_clip(TINY), NAMES), random_images(TINY)
    with torch.inference_mode():
        model.eval()(images)
    features = model.class_features()
    model.train()(images).sum().backward()
    assert model.class_features() is features


@pytest.mark.parametrize(
    "method, changes, key",
    [
        ("CoOp", {"CSC": True, "CTX_INIT": "a photo of a"}, "CSC"),
        ("MaPLe", {"PROMPT_DEPTH": 4}, "at most 3"),
        ("MaPLe", {"N_CTX": 3, "PROMPT_DEPTH": 1, "CTX_INIT": "a photo"}, "2 tokens, fewer than"),
        ("IVLP", {"PROMPT_DEPTH_VISION": 1, "N_CTX_VISION": 0}, "N_CTX_VISION"),
        ("IVLP", {"PROMPT_DEPTH_TEXT": 5}, "at most 4"),
        ("IVLP", {"PROMPT_DEPTH_TEXT": 4, "PROMPT_DEPTH_VISION": 4}, "at most 3"),
        ("VPT", {"CTX_INIT": "an image of a"}, "CTX_INIT"),
        ("PLOT", {"CTX_INIT": "a photo of a"}, "CTX_INIT"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(method, changes, key):
    with pytest.raises(ValueError, match=key):
        build_model(method, random_clip(TINY), NAMES, settings(method, **changes))
