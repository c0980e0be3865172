"""Every method is built on a tiny ViT and a tiny ResNet, with all that its settings may be, or says
which key or backbone is at odds."""

import pytest
import torch
from any_method import RESNET, VIT, Case, give_features, logits
from cases_of_methods import beyond, cases, on_backbone
from multimode_ot import Setting, build_model
from multimode_ot.methods import find_method
from multimode_ot.methods.build import default_settings
from parity import NAMES
from random_clip import random_clip


def test_a_backbone_is_taken_or_refused_with_the_key(method):
    taken = {case.shape for case in cases(method)}
    assert VIT in taken
    if RESNET not in taken:
        _, refusal = on_backbone(Case(method, RESNET))
        assert refusal.startswith(f"TRAINER.{method.upper()}.") and "ResNet" in refusal


def test_logits_are_finite_float32_of_the_images_and_classes(case):
    found = case.build()(case.images(2))
    assert found.shape == (2, len(NAMES)) and found.dtype == torch.float32
    assert found.isfinite().all() and found.std() > 0


def test_the_defaults_fit_any_backbone_by_themselves(case):
    if case.changes:  # something had to be turned off
        return
    torch.manual_seed(0)
    by_itself = build_model(case.method, random_clip(case.shape), NAMES)
    give_features(by_itself)
    assert torch.equal(logits(by_itself, case.images()), logits(case.build(), case.images()))


def test_a_choice_of_a_setting_is_taken_or_refused_with_the_key(choice):
    path = f"TRAINER.{choice.method.upper()}."
    if choice.misfit():
        assert choice.misfit().startswith(path)
        return
    assert logits(choice.build().eval(), choice.images()).isfinite().all()
    if not choice.trains or choice.fitted:
        return
    parameters = choice.build().prompt_learner.named_parameters()
    named = {key for key, tensor in parameters if tensor.requires_grad}
    idle = set(named)
    for seed in range(8):  # of a few hidden units, some fire from one start and some from another
        model = choice.as_trained(seed=seed).train()
        try:
            model(choice.images()).logsumexp(1).sum().backward()
        except ValueError as refusal:
            ((key, value),) = choice.changes
            assert f"{key} {value!r}" in str(refusal)
            return
        gradients = {
            k: p.grad for k, p in model.prompt_learner.named_parameters() if p.requires_grad
        }
        assert all(g.isfinite().all() for g in gradients.values())
        idle -= {key for key in named if gradients[key].any()}
        if not idle:
            return
    raise AssertionError(f"{sorted(idle)} had no gradient")


def test_what_a_declaration_rules_out_is_refused_before_weights_are_read(method):
    for key, setting in find_method(method).all_settings().items():
        for value, words in beyond(setting) if isinstance(setting, Setting) else ():
            node = default_settings(method)
            node[key] = value
            with pytest.raises(ValueError) as refusal:
                build_model(method, "no such file", NAMES, node)
            assert str(refusal.value).startswith(f"TRAINER.{method.upper()}.{key} {value!r}")
            assert all(word in str(refusal.value) for word in words)
