"""Every method's prompts go into a file and out of it; training goes on from there to the bit."""

import tempfile
from pathlib import Path

import pytest
import torch
from any_method import OTHERS, assert_resumes, logits
from multimode_ot.errors import is_expected
from multimode_ot.methods.class_bound import ClassBound
from multimode_ot.methods.prompts import CLASS_NAMES
from multimode_ot.training.checkpoints import read_checkpoint


def through_a_file(state):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth.tar-1"
        torch.save({"state_dict": state, "epoch": 1}, path)
        return read_checkpoint(path)["state_dict"]


def test_saved_prompts_give_a_fresh_model_the_same_logits(case):
    model = case.as_trained()
    own = model.prompt_learner.state_dict()
    prefix = model.checkpoint_prefix
    for before in dict.fromkeys(["", prefix, "module." + prefix]):  # as hosts write them, too
        state = through_a_file({before + key: value for key, value in own.items()})
        fresh = case.build(seed=1).eval()
        if case.trains:
            assert not torch.equal(logits(fresh, case.images()), logits(model, case.images()))
        report = fresh.load_prompts(state)
        assert report.used == tuple(state)
        assert report.ignored == report.missed == report.unexpected == ()
        assert torch.equal(logits(fresh, case.images()), logits(model, case.images()))


def test_a_tensor_that_a_file_lacks_or_that_nobody_knows_is_reported(learner):
    model = learner.build()
    state = dict(model.prompt_learner.state_dict())
    if len(state) > 1:
        lost = next(key for key in state if key != CLASS_NAMES)
        report = model.load_prompts({k: v for k, v in state.items() if k != lost})
        assert report.missed == (lost,)
    assert model.load_prompts(state | {"stranger": torch.zeros(1)}).unexpected == ("stranger",)


def test_what_is_no_prompt_of_the_method_is_refused_and_changes_nothing(learner):
    model = learner.as_trained()
    before = logits(model, learner.images())
    key, value = next(iter(model.prompt_learner.named_parameters()))
    longer = {**model.prompt_learner.state_dict(), key: torch.zeros(*value.shape, 2)}
    for state, words in [
        ({}, f"no prompts of {learner.method}"),
        ({"stranger": torch.zeros(1)}, f"no prompts of {learner.method}"),
        ({key: "words"}, f"'{key}' of the state dict is a str"),
        ([1], "the state dict is a list"),
        (longer, f"{key} has shape"),
    ]:
        with pytest.raises(ValueError, match=r"state dict|has shape") as refusal:
            model.load_prompts(state)
        assert words in str(refusal.value) and is_expected(refusal.value)
    assert torch.equal(logits(model, learner.images()), before)


def test_what_is_saved_is_trained_and_depends_on_no_class_but_fixed_ones(case):
    model = case.build()
    state = model.prompt_learner.state_dict()
    constants = set(state) - set(dict(model.prompt_learner.named_parameters()))
    assert constants <= {CLASS_NAMES} or isinstance(model, ClassBound)
    if CLASS_NAMES not in state:
        other = case.build(OTHERS).prompt_learner.state_dict()
        assert {k: v.shape for k, v in other.items()} == {k: v.shape for k, v in state.items()}
    model(case.images())
    model.frozen_text(("a {}.",))
    assert set(model.state_dict()) == {f"prompt_learner.{k}" for k in state} | {
        f"clip.{k}" for k in model.clip.state_dict()
    }


def test_a_resumed_training_is_the_whole_one_to_the_bit(learner):
    assert_resumes(learner)
