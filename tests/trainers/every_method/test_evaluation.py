"""What every method makes of a batch: in any order, in any company, for any classes."""

import itertools
import warnings

import pytest
import torch
from any_method import logits
from multimode_ot.errors import is_expected
from multimode_ot.methods import find_method

# Of logits up to 14, from products of other shapes; what was seen is below 1e-5.
ROUNDING = 5e-5
# Where the iterations for a batch stop as soon as its marginals are met within 1e-2 (PLOT) or 1e-3:
# a hundredth of the mass, at a similarity of one. What was seen is below 1e-3.
STOPPING = 0.01


def tolerance(model):
    return STOPPING * float(model.logit_scale) if model.depends_on_batch() else ROUNDING


def test_images_in_another_order_have_their_own_logits(case):
    model, images = case.as_trained(), case.images(5)
    order = torch.tensor([3, 1, 4, 0, 2])
    gap = (logits(model, images[order]) - logits(model, images)[order]).abs().max()
    assert gap < ROUNDING


def test_an_image_alone_has_the_logits_that_it_has_in_a_batch(case):
    assert_independent(case)


def test_so_it_has_with_every_choice_of_a_setting(choice):
    if not choice.misfit():
        assert_independent(choice)


def assert_independent(case):
    model, images = case.as_trained(), case.images(3)
    together = logits(model, images)
    alone = torch.cat([logits(model, image[None]) for image in images])
    spread = together.max() - together.min()
    assert tolerance(model) < spread / 5, "it would not be seen"
    assert (alone - together).abs().max() < tolerance(model)


def test_what_a_method_says_of_batches_is_one_line(method):
    said = find_method(method).batch_dependence
    assert "\n" not in said and (not said or len(said.split()) > 4)


def test_the_classes_features_can_be_computed_once(case):
    model, images = case.as_trained(), case.images()
    with torch.no_grad():
        assert torch.equal(model(images, model.class_features()), model(images))


def test_an_evaluation_has_no_chance_in_it(case):
    model, images = case.as_trained(), case.images()
    assert torch.equal(logits(model, images), logits(model, images))


def test_images_that_are_none_are_refused(case):
    model, (_, *size) = case.as_trained(), case.images().shape
    for wrong in [size, (2, 1, *size[1:]), (2, 3, 8, 8)]:
        with pytest.raises(ValueError, match="images of shape") as refusal:
            model(torch.zeros(*wrong))
        assert f"{tuple(wrong)}: " in str(refusal.value) and is_expected(refusal.value)
        assert f"takes (B, {', '.join(map(str, size))})" in str(refusal.value)


def test_a_number_that_is_none_in_an_image_names_the_row(case):
    assert_names_the_row(case)


def test_so_it_does_with_every_choice_of_a_setting(choice):
    if not choice.misfit():
        assert_names_the_row(choice)


def assert_names_the_row(case):
    for training, value in itertools.product((False, True), (torch.nan, torch.inf)):
        model, images = case.build().train(training), case.images(3)
        images[1, 0, 5, 5] = value
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # a solver's own
            with pytest.raises(FloatingPointError, match=r"images \(rows \[1\]\)"):
                model(images)


def test_a_nan_in_a_prompt_names_the_prompt(learner):
    model = learner.build()
    for key, tensor in model.prompt_learner.named_parameters():
        before = tensor.detach().clone()
        with torch.no_grad():
            tensor.view(-1)[-1] = torch.nan
        for call in (model, model.diagnose):
            with pytest.raises(FloatingPointError, match=rf"prompts\.{key}\b"):
                call(learner.images())
        tensor.data = before
