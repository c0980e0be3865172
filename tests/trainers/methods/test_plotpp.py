"""PLOT++: parity of both stages, where its prompts start, and what its settings refuse."""

import clip
import pytest
import torch
from any_method import backbone
from multimode_ot import build_model
from multimode_ot.backbone.templates import PLOTPP_TEMPLATES, PLOTPP_USUAL
from original_keys import random_prompts
from parity import settings
from side_by_side import assert_same_training, loaded
from slow_plotpp import SlowPlotpp, prompt_shapes

VIT = "tiny-vit"
NAMES = ["cat", "a_giant_panda", "2012 Ferrari"]
CTX, VISION = "prompt_learner.ctx", "prompt_learner.ctx_vision"
FIRST = {"MODEL_UPD": "vision", "TRADE_OFF": True}


def made(dataset=None, names=NAMES, **changes):
    torch.manual_seed(0)
    node = settings("PLOTPP", **changes)
    return build_model("PLOTPP", backbone(VIT), names, node, dataset=dataset)


def word_vectors(words: str, count: int):
    """Token embeddings at positions 1 to `count` of some words, whatever stands there."""
    ids = clip.tokenize([words])[0, 1 : 1 + count]
    return backbone(VIT).token_embedding.weight[ids.long()]


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("dataset", [None, "EuroSAT", "UCF101"])
def test_three_steps_of_a_stage_equal_the_reference(stage, dataset):
    words = PLOTPP_TEMPLATES.get(dataset, PLOTPP_USUAL)
    prompts = random_prompts(prompt_shapes(4, len(words[0].split()), 4, 2))
    model = loaded("PLOTPP", VIT, NAMES, prompts, FIRST if stage == 1 else {}, dataset)
    slow = SlowPlotpp(NAMES, list(words), trade_off=stage == 1)
    assert_same_training(model, prompts, slow, [VISION] if stage == 1 else [CTX, VISION])


@pytest.mark.parametrize(("text", "vision", "tokens"), [(1, 1, 1), (2, 5, 3), (6, 2, 2)])
def test_other_numbers_of_prompts_equal_the_reference(text, vision, tokens):
    words = list(PLOTPP_USUAL[:text]) if text <= 4 else ["X X X"] * text
    changes = {"N": text, "M": vision, "N_CTX_V": tokens, "TRADE_OFF": True}
    changes |= {"CTX_INIT": text <= 4, "N_CTX": 3}
    prompts = random_prompts(prompt_shapes(text, 4 if text <= 4 else 3, vision, tokens))
    model = loaded("PLOTPP", VIT, NAMES, prompts, changes)
    slow = SlowPlotpp(NAMES, words, trade_off=True)
    assert_same_training(model, prompts, slow, [CTX, VISION], steps=1)


@pytest.mark.parametrize("dataset", ["Digits", *PLOTPP_TEMPLATES])
def test_textual_prompts_start_as_the_words_of_the_data_set(dataset):
    """But those of too few words; further words stay in the prompt."""
    learner = made(dataset).prompt_learner
    templates = PLOTPP_TEMPLATES.get(dataset, PLOTPP_USUAL)
    assert learner.ctx.shape[:2] == (4, len(templates[0].split()))
    assert learner.ctx_vision.shape[:2] == (4, 2)
    for vectors, prefix, words in zip(learner.ctx, learner.prefixes, templates, strict=True):
        wanted = words if len(words.split()) >= len(vectors) else f"X {words}"
        assert prefix == wanted
        assert torch.equal(vectors, word_vectors(wanted, len(vectors)))


def test_the_table_of_templates_is_the_published_one():
    assert len(PLOTPP_TEMPLATES) == 11 and all(len(t) == 4 for t in PLOTPP_TEMPLATES.values())
    assert PLOTPP_TEMPLATES["ImageNet"][2] == "this is a"
    assert PLOTPP_TEMPLATES["UCF101"][1] == "this is a photo people doing"
    assert PLOTPP_TEMPLATES["SUN397"] == PLOTPP_USUAL
    assert PLOTPP_TEMPLATES["EuroSAT"][3] == "one centered satellite photo of a"


def test_a_short_template_leaves_the_class_name_alone():
    short = "X this is a"
    model = made("ImageNet")
    assert model.prefixes[2] == short
    prompts = random_prompts(prompt_shapes(4, 4, 4, 2))
    model.load_prompts(prompts)
    words = [*PLOTPP_USUAL[:2], short, PLOTPP_USUAL[3]]
    slow = SlowPlotpp(NAMES, words)
    assert_same_training(model, prompts, slow, [CTX, VISION], steps=1)


def test_released_prompts_of_a_short_template_stand_where_they_stood():
    """Over the first token of the class name, which the original overwrites."""
    model = made("ImageNet", SHORT_TEMPLATE="released")
    assert torch.equal(model.prompt_learner.ctx[2], word_vectors("this is a", 4))
    prompts = random_prompts(prompt_shapes(4, 4, 4, 2))
    model.load_prompts(prompts)
    slow = SlowPlotpp(NAMES, list(PLOTPP_TEMPLATES["ImageNet"]))
    assert_same_training(model, prompts, slow, [CTX, VISION], steps=1)


def test_prompts_of_one_data_set_are_tested_on_another_with_its_words():
    trained = made("ImageNet").prompt_learner.state_dict()
    with pytest.raises(ValueError, match=r"ctx has shape \(4, 4"):
        made("OxfordPets").load_prompts(trained)
    model = made("OxfordPets", TEMPLATES="ImageNet")
    assert not model.load_prompts(trained).missed
    assert model.prefixes == made("ImageNet").prefixes


def test_the_second_stage_takes_the_prompts_of_the_first_and_none_of_its_classes():
    first = made(**FIRST)
    names = ["dog", "tree frog", "x"]
    buffers = {f"prompt_learner.token_{k}": torch.ones(12, 1, 8) for k in ("prefix", "suffix")}
    state = {f"prompt_learner.{k}": v for k, v in first.prompt_learner.state_dict().items()}
    second = made(names=names)
    report = second.load_prompts(state | buffers)
    assert report.ignored == tuple(buffers) and not report.missed
    fresh = made(names=names)
    fresh.load_prompts(state)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(second(images), fresh(images))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"N": 5}, ["PLOTPP.N 5", "four", "CTX_INIT"]),
        ({"TEMPLATES": "OxfordPet"}, ["PLOTPP.TEMPLATES 'OxfordPet'", "OxfordPets"]),
        ({"MODEL_UPD": "text"}, ["PLOTPP.MODEL_UPD 'text'", "vision", "joint"]),
        ({"CSC": True}, ["PLOTPP.CSC True", "PLOTPP are shared"]),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_line(changes, words):
    with pytest.raises(ValueError) as refused:
        made(**changes)
    assert all(word in str(refused.value) for word in words) and "\n" not in str(refused.value)
