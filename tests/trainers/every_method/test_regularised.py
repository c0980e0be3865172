"""Every method with each regulariser, and with each two: it takes them, or says why not."""

import pytest
import torch
from any_method import Case, Training, assert_resumes, logits
from cases_of_methods import beyond, taken
from multimode_ot import build_model, method_names
from multimode_ot.regularisers import REGULARISERS, Regulariser


def guides(model):
    """The parts whose scalar only guides, under whose names it is shown."""
    return {
        name
        for name, part in model.regularisers.items()
        if type(part).guide is not Regulariser.guide
    }


def test_a_step_is_finite_and_its_terms_make_up_the_loss(taken):
    model = taken.build()
    assert tuple(model.regularisers) == taken.parts
    (summary,) = Training(taken, model).run(1)
    assert all(torch.tensor(value).isfinite() for value in summary.values())
    assert guides(model) < set(summary)
    terms = set(summary) - {"loss", "acc"} - guides(model)
    if terms:  # one alone is the loss
        total = sum(summary[name] for name in terms)
        assert total == pytest.approx(summary["loss"], rel=1e-5)
    for tensor in model.prompt_learner.parameters():
        assert tensor.grad is not None and tensor.grad.isfinite().all()


def test_it_resumes_to_the_bit(taken):
    assert_resumes(taken)


def test_it_learns_from_one_image_of_one_class(taken):
    model = taken.build(["cat"])
    training = Training(taken, model, batch=1)
    for summary in training.run(training.epochs):
        assert all(torch.tensor(value).isfinite() for value in summary.values())
    assert logits(model.eval(), taken.images(1)).isfinite().all()


def test_it_follows_the_classes(taken):
    training = Training(taken, taken.build())
    training.run(1)
    training.model.set_classes(["x", "y"])
    (summary,) = training.run(1)
    assert all(torch.tensor(value).isfinite() for value in summary.values())


def test_a_refusal_says_which_and_why_before_weights_are_read(refused):
    with pytest.raises(ValueError) as refusal:
        build_model(refused.method, "no such file", ["cat"], refused.settings())
    said = str(refusal.value)
    assert said.startswith(f"TRAINER.{refused.method.upper()}.REGULARISERS ")
    reason = said.rpartition(": ")[2]
    assert refused.method in said and len(reason.split()) >= 3 and "\n" not in said


def test_two_are_taken_where_each_is(method):
    alone = {case.parts[0] for case in taken(method) if len(case.parts) == 1}
    pairs = {frozenset(case.parts) for case in taken(method) if len(case.parts) == 2}
    assert pairs == {frozenset({one, other}) for one in alone for other in alone - {one}}


@pytest.mark.parametrize("part", REGULARISERS)
def test_some_methods_take_a_regulariser(part):
    takers = {name for name in method_names() for case in taken(name) if part in case.parts}
    assert len(takers) >= 3


def test_nothing_and_twice_the_same_are_told_apart(method):
    assert not Case(method).refusal()
    for part in REGULARISERS:
        assert Case(method, parts=(part, part)).refusal()
        assert "no_such_part" in Case(method, parts=(part, "no_such_part")).refusal()


def test_what_the_declaration_of_a_part_rules_out_is_refused_by_its_key(method):
    for case in taken(method):
        for part in case.parts:
            for key, setting in REGULARISERS[part].settings.items():
                for value, words in beyond(setting):
                    node = case.settings()
                    node[part.upper()][key] = value
                    with pytest.raises(ValueError) as refusal:
                        build_model(method, "no such file", ["cat"], node)
                    path = f"TRAINER.{method.upper()}.{part.upper()}.{key} {value!r}"
                    assert str(refusal.value).startswith(path)
                    assert all(word in str(refusal.value) for word in words)


def test_the_settings_of_a_regulariser_that_is_not_listed_are_idle(learner):
    changed, nodes = learner.settings(), {}
    for part in REGULARISERS.keys() - set(changed.REGULARISERS):
        for key, setting in REGULARISERS[part].settings.items():
            changed[part.upper()][key] = 2 * setting.default
        nodes[part.upper()] = changed[part.upper()]
    trained = []
    for changes in ({}, nodes):
        model = learner.build(**changes)
        torch.manual_seed(2)  # for those with dropout
        trained.append(Training(learner, model).run(2))
    assert trained[0] == trained[1]
