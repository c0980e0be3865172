"""Schedules by iteration, kept last batches, lengths in steps a shot, and nothing to optimise."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from dassl.config import get_cfg_default
from multimode_ot.methods.steps import Steps
from multimode_ot.training.optimisation import (
    NoSchedule,
    build_optimisation,
    check_optimisation,
    training_loader,
)
from torch import nn
from torch.utils.data import DataLoader, RandomSampler
from yacs.config import CfgNode


class Model(SimpleNamespace):
    name = "Mine"
    steps = Steps()

    def trained(self):
        return [p for p in self.prompt_learner.parameters() if p.requires_grad]

    def optimiser_arguments(self):
        return {"eps": 1e-4}


def model(trained=True, **steps):
    learner = nn.Linear(2, 1, bias=False).requires_grad_(trained)
    return Model(prompt_learner=learner, steps=Steps(**steps))


def config(**optim):
    cfg = get_cfg_default()
    cfg.OPTIM.update({"NAME": "sgd", "LR": 0.5, "LR_SCHEDULER": "cosine", "MAX_EPOCH": 2} | optim)
    return cfg


def rates(optimizer, schedule, steps):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_a_schedule_by_iteration_is_one_cosine_over_all_steps_to_its_floor():
    optimizer, schedule = build_optimisation(
        model(by_iteration=True, floor=0.1), config().OPTIM, iterations=4
    )
    half = 0.2 / 2**0.5
    assert rates(optimizer, schedule, 5) == pytest.approx([0.5, 0.3 + half, 0.3, 0.3 - half, 0.1])


def test_else_it_is_the_configs_by_epoch():
    optimizer, schedule = build_optimisation(model(), config().OPTIM, iterations=40)
    assert rates(optimizer, schedule, 2) == pytest.approx([0.5, 0.25])


def test_what_the_config_cannot_say_reaches_the_optimiser():
    optimizer, _ = build_optimisation(model(), config(NAME="adamw").OPTIM, iterations=1)
    assert optimizer.param_groups[0]["eps"] == 1e-4


def test_without_anything_to_train_there_is_no_optimiser_and_the_schedule_keeps_what_is_put_on_it():
    optimizer, schedule = build_optimisation(model(trained=False), config().OPTIM, iterations=1)
    assert optimizer is None and isinstance(schedule, NoSchedule)
    schedule.step()
    schedule.made_of = {"a": 1}
    other = NoSchedule()
    other.load_state_dict(schedule.state_dict())
    assert other.made_of == {"a": 1}


def loader(images=10, size=4):
    data = list(range(images))
    return DataLoader(data, batch_size=size, sampler=RandomSampler(data), drop_last=True)


def method(**steps):
    return type("Mine", (), {"name": "Mine", "steps": Steps(**steps)})


def test_the_usual_loader_stays_and_a_kept_last_batch_makes_an_epoch_of_all_images():
    usual = loader()
    assert training_loader(usual, method(), 0) is usual
    kept = training_loader(usual, method(keep_last=True), 0)
    assert len(kept) == 3
    batches = list(kept)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert kept.sampler is usual.sampler


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_so_many_steps_are_taken_however_many_images_there_are(steps):
    cut = training_loader(loader(), method(per_shot="EACH", keep_last=True), steps)
    batches = list(cut)
    assert len(cut) == len(batches) == steps
    rounds = [torch.cat(batches[i : i + 3]).tolist() for i in range(0, steps, 3)]
    for indices in rounds:
        assert len(set(indices)) == len(indices)  # no image twice before all were seen


class PerShot:
    name = "Mine"
    steps: ClassVar[Steps] = Steps(by_iteration=True, per_shot="EACH")


@pytest.mark.parametrize(
    ("optim", "each", "shots", "words"),
    [
        ({"MAX_EPOCH": 4}, 10, 2, None),
        ({"MAX_EPOCH": 3}, 10, 2, "Mine takes EACH 10 x DATASET.NUM_SHOTS 2 = 20 steps"),
        ({"MAX_EPOCH": 1}, 10, -1, "= -10 steps"),
        ({"LR_SCHEDULER": "multi_step"}, 10, 2, "OPTIM.LR_SCHEDULER 'multi_step': Mine has"),
        ({"WARMUP_EPOCH": 1}, 10, 2, "OPTIM.WARMUP_EPOCH 1: Mine has a cosine over its steps"),
    ],
)  # fmt: skip
def test_a_length_that_does_not_divide_and_other_schedules_are_refused(optim, each, shots, words):
    cfg = config(**optim)
    cfg.DATASET.NUM_SHOTS = shots
    check = lambda: check_optimisation(PerShot, CfgNode({"EACH": each}), cfg)  # noqa: E731
    if words is None:
        check()
        return
    with pytest.raises(ValueError) as refusal:
        check()
    assert words in str(refusal.value)
