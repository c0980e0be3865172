"""The plugin's own optimisers and learning rates against the stand-in's, to the bit."""

import itertools

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS, WARMUPS
from dassl.optim.optimizer import AVAI_OPTIMS
from multimode_ot.training.schedule import (
    OPTIMISERS,
    SCHEDULES,
    WARM_UPS,
    build_optimiser,
    build_schedule,
)
from torch import nn

EPOCHS = 12
STEPS = {"cosine": (-1,), "single_step": (5,), "multi_step": (3, 7)}


def options(**changes):
    node = get_cfg_default().OPTIM
    node.update({"MAX_EPOCH": EPOCHS, "LR": 0.03} | changes)
    return node


def trained(node, optimiser_of, schedule_of):
    """Rates of all epochs, the one that is left, and the weights after each."""
    torch.manual_seed(0)
    layer, found = nn.Linear(3, 2), []
    optimizer = optimiser_of(layer.parameters(), node)
    schedule = schedule_of(optimizer, node)
    for _ in range(EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        layer(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
        schedule.step()
        found.append(layer.weight.detach().clone())
    return [*found, optimizer.param_groups[0]["lr"]]


def assert_the_same(node):
    one = trained(node, build_optimiser, build_schedule)
    other = trained(node, build_optimizer, build_lr_scheduler)
    for own, theirs in zip(one, other, strict=True):
        assert torch.equal(own, theirs) if isinstance(own, torch.Tensor) else own == theirs


def test_there_are_the_same_of_each():
    assert sorted(OPTIMISERS) == sorted(AVAI_OPTIMS)
    assert sorted(SCHEDULES) == sorted(AVAI_SCHEDS) and sorted(WARM_UPS) == sorted(WARMUPS)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warm", [-1, 1, 4, EPOCHS + 2])
@pytest.mark.parametrize("kind", WARM_UPS)
@pytest.mark.parametrize("recount", [True, False])
def test_rates_and_weights_of_every_epoch_are_the_same(schedule, warm, kind, recount):
    node = options(NAME="sgd", LR_SCHEDULER=schedule, STEPSIZE=STEPS[schedule])
    node.update({"WARMUP_EPOCH": warm, "WARMUP_TYPE": kind, "WARMUP_RECOUNT": recount})
    assert_the_same(node)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_so_are_they_with_every_optimiser(name):
    changes = {
        "WEIGHT_DECAY": [0.0, 0.25], "ADAM_BETA1": [0.5], "RMSPROP_ALPHA": [0.5],
        "SGD_NESTEROV": [True, False], "MOMENTUM": [0.75],
    }  # fmt: skip
    for values in itertools.product(*changes.values()):
        chosen = dict(zip(changes, values, strict=True))
        assert_the_same(options(NAME=name, LR_SCHEDULER="cosine", **chosen))


def test_a_step_below_one_is_the_whole_training():
    assert_the_same(options(NAME="sgd", LR_SCHEDULER="single_step", STEPSIZE=(-1,)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"NAME": "lion"}, "OPTIM.NAME 'lion' is unknown.*known are adam"),
        ({"LR_SCHEDULER": "linear"}, "OPTIM.LR_SCHEDULER 'linear' is unknown"),
        ({"WARMUP_EPOCH": 1, "WARMUP_TYPE": "slow"}, "OPTIM.WARMUP_TYPE 'slow' is unknown"),
        ({"LR_SCHEDULER": "multi_step", "STEPSIZE": (1.5,)}, "OPTIM.STEPSIZE .*whole numbers"),
    ],
)
def test_what_there_is_not_is_refused_by_key(changes, said):
    node = options(**changes)
    with pytest.raises(ValueError, match=said):
        build_schedule(build_optimiser(nn.Linear(1, 1).parameters(), node), node)
