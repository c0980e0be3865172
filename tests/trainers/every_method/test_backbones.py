"""Every method trains a step on three kinds of CLIP: quick GELU with heads of 64, exact GELU with
heads of 80 and MLPs of other widths, a ResNet."""

import pytest
import torch
from any_method import EXACT, RESNET, VIT, Case, Training, logits
from cases_of_methods import on_backbone, on_each_backbone
from parity import NAMES


def test_it_takes_the_three_or_names_the_key_of_a_resnet(method):
    shapes = {case.shape for case in on_each_backbone(method)}
    assert {VIT, EXACT} <= shapes
    if RESNET not in shapes:
        with pytest.raises(ValueError, match="ResNet") as refusal:
            Case(method, RESNET).build()
        assert str(refusal.value).startswith(f"TRAINER.{method.upper()}.")
    assert on_backbone(Case(method, EXACT))[0].changes == on_backbone(Case(method))[0].changes


def test_a_step_moves_all_that_is_trained_and_nothing_else(placed):
    own = placed.build().prompt_learner.named_parameters()
    still = {f"prompt_learner.{key}" for key, tensor in own if tensor.requires_grad}
    for seed in range(6):  # hidden units that are off learn nothing from that start
        model = placed.build(seed=seed)
        found = model(placed.images())
        assert found.shape == (2, len(NAMES)) and found.dtype == torch.float32
        assert found.isfinite().all() and found.std() > 0
        if not placed.trains or placed.fitted:
            return
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        for summary in Training(placed, model).run(2):  # the second meets what starts at zero
            assert all(torch.tensor(value).isfinite() for value in summary.values())
        moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        assert not any(key.startswith("clip.") for key in moved)
        still -= moved
        assert logits(model.eval(), placed.images()).dtype == torch.float32
        if not still:
            return
    raise AssertionError(f"{sorted(still)} did not move")
