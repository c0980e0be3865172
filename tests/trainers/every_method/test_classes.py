"""Every method takes other classes as if it had been made for them, or says why it does not."""

import pytest
import torch
from any_method import LONGEST, OTHERS, logits
from multimode_ot.errors import is_expected
from multimode_ot.methods.class_bound import ClassBound
from parity import NAMES


def test_other_classes_are_as_in_a_model_made_for_them(case):
    assert_follows_the_classes(case)


def test_so_they_are_with_every_choice_of_a_setting(choice):
    if not choice.misfit():
        assert_follows_the_classes(choice)


def assert_follows_the_classes(case):
    model, images = case.as_trained(), case.images()
    before, prompts = logits(model, images), model.prompt_learner.state_dict()
    try:
        model.set_classes(OTHERS)
    except ValueError as refusal:
        assert len(str(refusal).split()) > 5
        assert model.classnames == NAMES and torch.equal(logits(model, images), before)
        bound = isinstance(model, ClassBound)  # it goes by names, whatever their order
        for names in (OTHERS, *([] if bound else [NAMES[::-1]]), [*NAMES[:-1], "otherwise"]):
            assert_refuses_prompts(case.build(names, seed=1), prompts)
        return
    made = case.build(OTHERS, seed=1).eval()
    made.load_prompts(prompts)
    assert model.classnames == OTHERS
    assert torch.equal(logits(model, images), logits(made, images))
    model.set_classes(NAMES)
    assert torch.equal(logits(model, images), before)


def assert_refuses_prompts(model, prompts):
    before = {k: v.clone() for k, v in model.prompt_learner.state_dict().items()}
    loads = [model.load_prompts]
    if not isinstance(model, ClassBound):  # which load_prompts alone makes fit
        loads.append(model.prompt_learner.load_state_dict)  # as hosts resume
    for load in loads:
        with pytest.raises(ValueError, match="belong to"):
            load(prompts)
    assert all(torch.equal(v, before[k]) for k, v in model.prompt_learner.state_dict().items())


def test_names_that_are_none_are_refused_and_change_nothing(case):
    model, images = case.as_trained(), case.images()
    before = logits(model, images)
    for names, words in [
        ([], "classnames is empty"),
        ("cat", "'cat' is one string"),
        ({"cat", "dog"}, "classnames is a set: give a list"),
        ((name for name in NAMES), "classnames is a generator: give a list"),
        (None, "classnames is a NoneType: give a list"),
        (["cat", 3], "3, a int"),
        (["cat", " "], "an empty name"),
        (["cat", "Cat"], "become one prompt"),
        (["cat", "wordy " * 80], "wordy wordy"),
    ]:
        for refuse in (model.set_classes, case.build):
            with pytest.raises(ValueError, match="class") as refusal:
                refuse(names)
            assert words in str(refusal.value) and is_expected(refusal.value)
    assert model.classnames == NAMES and torch.equal(logits(model, images), before)


def test_a_name_too_long_for_its_prompt_is_quoted(case):
    model, images = case.as_trained(), case.images()
    before = logits(model, images)
    with pytest.raises(ValueError, match=LONGEST.strip()):
        model.set_classes(["cat", LONGEST])
        model.class_features()
    if model.classnames != NAMES:  # prompts that are made when they are asked for
        model.set_classes(NAMES)
    assert torch.equal(logits(model, images), before)
