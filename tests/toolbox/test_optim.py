"""Section 9: optimizers, and the learning rate of every epoch."""

import math

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import ConstantWarmupScheduler, LinearWarmupScheduler
from torch import nn


def options(*pairs):
    cfg = get_cfg_default().OPTIM
    cfg.merge_from_list(list(pairs))
    return cfg


def build(*pairs):
    cfg = options("NAME", "sgd", "LR", 0.002, "MAX_EPOCH", 50, "LR_SCHEDULER", "cosine", *pairs)
    optimizer = build_optimizer(nn.Linear(1, 1), cfg)
    return optimizer, build_lr_scheduler(optimizer, cfg)


def rates(optimizer, scheduler, epochs):
    """The rate in force in each epoch, and the one left after the last."""
    values = []
    for _ in range(epochs):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    return [*values, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("amsgrad", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
        ("radam", torch.optim.RAdam),
        ("adamw", torch.optim.AdamW),
    ],
)
def test_each_optimizer_gets_its_settings(name, kind):
    cfg = options("NAME", name, "LR", 0.5, "WEIGHT_DECAY", 0.25, "MOMENTUM", 0.75,
                  "ADAM_BETA1", 0.125, "SGD_NESTEROV", True, "RMSPROP_ALPHA", 0.5)  # fmt: skip
    optimizer = build_optimizer(nn.Linear(1, 1), cfg)
    group = optimizer.param_groups[0]
    assert type(optimizer) is kind
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    if name in ("sgd", "rmsprop"):
        assert group["momentum"] == 0.75
        assert group.get("nesterov", True) and group.get("alpha", 0.5) == 0.5
    else:
        assert group["betas"] == (0.125, 0.999)
        assert group.get("amsgrad", False) == (name == "amsgrad")
    if name == "radam":
        assert group["decoupled_weight_decay"]


def test_an_unknown_optimizer_lists_the_known():
    with pytest.raises(ValueError, match=r"optim must be one of \['adam',.*but got lion"):
        build_optimizer(nn.Linear(1, 1), options("NAME", "lion"))


def test_frozen_parameters_are_handed_in_too():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    optimizer = build_optimizer(model, options())
    assert len(optimizer.param_groups[0]["params"]) == 2
    assert len(build_optimizer([model.bias], options()).param_groups[0]["params"]) == 1


def test_new_layers_learn_at_the_full_rate():
    model = nn.DataParallel(nn.ModuleDict({"old": nn.Linear(1, 1), "new": nn.Linear(1, 2)}))
    cfg = options("STAGED_LR", True, "NEW_LAYERS", ("new",), "LR", 1.0)
    old, new = build_optimizer(model, cfg).param_groups
    assert old["lr"] == pytest.approx(0.1) and new["lr"] == 1.0
    assert [p.numel() for p in new["params"]] == [2, 2]
    with pytest.raises(TypeError, match="STAGED_LR needs a module"):
        build_optimizer(model.parameters(), cfg)
    with pytest.warns(UserWarning, match="STAGED_LR is ignored"):
        groups = build_optimizer(model, cfg, [{"params": list(model.parameters())}]).param_groups
    assert len(groups) == 1


WARMUP = ("WARMUP_EPOCH", 1, "WARMUP_TYPE", "constant", "WARMUP_CONS_LR", 1e-5)


def test_the_worked_example():
    lr = rates(*build(*WARMUP), epochs=50)
    expected = {
        1: 1e-05, 2: 0.002, 3: 0.0019980267284282717, 4: 0.001992114701314478,
        25: 0.001125333233564304, 26: 0.001062790519529313, 49: 1.7712749271311268e-05,
        50: 7.88529868552223e-06, 51: 1.9732715717284396e-06,
    }  # fmt: skip
    for epoch, value in expected.items():
        assert lr[epoch - 1] == pytest.approx(value, abs=1e-12)
    for epoch in range(2, 51):
        formula = 0.001 * (1 + math.cos(math.pi * (epoch - 2) / 50))
        assert lr[epoch - 1] == pytest.approx(formula, abs=1e-12)


def test_no_warm_up():
    lr = rates(*build(), epochs=50)
    assert lr[0] == 0.002
    assert lr[1] == pytest.approx(0.0019980267284282717, abs=1e-12)
    assert lr[49] == pytest.approx(1.9732715717284396e-06, abs=1e-12)
    assert lr[50] == pytest.approx(0, abs=1e-12)


def test_linear_warm_up():
    lr = rates(*build("WARMUP_EPOCH", 5, "WARMUP_TYPE", "linear"), epochs=7)
    expected = [1e-05, 0.0004, 0.0008, 0.0012, 0.0016, 0.002, 0.0019980267284282717]
    assert lr[:7] == pytest.approx(expected, abs=1e-12)


def test_linear_warm_up_that_counts():
    options = ("WARMUP_EPOCH", 5, "WARMUP_TYPE", "linear", "WARMUP_RECOUNT", False)
    lr = rates(*build(*options), epochs=50)
    assert lr[:6] == pytest.approx([1e-05, 0.0004, 0.0008, 0.0012, 0.0016, 0.002], abs=1e-12)
    for epoch in range(7, 51):
        falling = 1 + math.cos(math.pi * (epoch - 1) / 50)
        expected = 0.002 * falling / (1 + math.cos(math.pi * 5 / 50))
        assert lr[epoch - 1] == pytest.approx(expected, abs=1e-12)


def test_warm_up_that_counts():
    lr = rates(*build(*WARMUP, "WARMUP_RECOUNT", False), epochs=50)
    assert lr[1:4] == pytest.approx(
        [0.002, 0.0019940821341079412, 0.0019842449778317388], abs=1e-12
    )
    assert lr[49] == pytest.approx(1.9752203948549737e-06, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "more", "drops"),
    [
        (("single_step", (20,)), WARMUP, [22, 42]),
        (("single_step", (20,)), (*WARMUP, "WARMUP_RECOUNT", False), [21, 41]),
        (("single_step", (20,)), (), [21, 41]),
        (("single_step", (7, 20)), (), [21, 41]),
        (("single_step", (-1,)), (), []),
        (("multi_step", (20, 40)), WARMUP, [22, 42]),
        (("multi_step", (20, 40)), (*WARMUP, "WARMUP_RECOUNT", False), [21, 41]),
    ],
)
def test_steps_drop_at(schedule, more, drops):
    name, size = schedule
    lr = rates(*build("LR_SCHEDULER", name, "STEPSIZE", size, *more), epochs=50)
    assert [e for e in range(2, 51) if lr[e - 1] < 0.5 * lr[e - 2]] == drops


def test_groups_keep_their_own_base_rates():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    cfg = options("NAME", "sgd", "WARMUP_EPOCH", 2, "LR_SCHEDULER", "cosine", "LR", 1.0)
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 4.0}]
    optimizer = build_optimizer(None, cfg, groups)
    scheduler = build_lr_scheduler(optimizer, cfg)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 2.0]


def test_wrong_schedules_are_refused():
    with pytest.raises(ValueError, match=r"scheduler must be one of .* but got poly"):
        build("LR_SCHEDULER", "poly")
    with pytest.raises(ValueError, match="WARMUP_TYPE"):
        build("WARMUP_EPOCH", 1, "WARMUP_TYPE", "cubic")
    cfg = options("LR_SCHEDULER", "multi_step")
    cfg.STEPSIZE = 3
    with pytest.raises(TypeError, match="multi_step"):
        build_lr_scheduler(build_optimizer(nn.Linear(1, 1), cfg), cfg)
    cfg.LR_SCHEDULER, cfg.STEPSIZE = "single_step", (0.5,)
    with pytest.raises(TypeError, match="single_step"):
        build_lr_scheduler(build_optimizer(nn.Linear(1, 1), cfg), cfg)


def test_verbose_is_accepted():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    main = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    assert ConstantWarmupScheduler(optimizer, main, 1, 0.1, -1, True).get_last_lr() == [0.1]
    assert LinearWarmupScheduler(optimizer, main, 2, 0.2, verbose=True).get_last_lr() == [0.2]


@pytest.mark.parametrize("stop", [1, 2, 5, 10])
@pytest.mark.parametrize(
    "more",
    [
        WARMUP,
        (*WARMUP, "WARMUP_RECOUNT", False),
        ("WARMUP_EPOCH", 5),
        ("LR_SCHEDULER", "multi_step", "STEPSIZE", (3, 7), *WARMUP),
        ("LR_SCHEDULER", "single_step", "STEPSIZE", (4,)),
    ],
)
def test_resuming_after_some_epochs_goes_on_with_the_same_rates(more, stop, tmp_path):
    whole = rates(*build(*more), epochs=20)
    optimizer, scheduler = build(*more)
    rates(optimizer, scheduler, epochs=stop)
    path = tmp_path / "state"
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    from dassl.utils.torchtools import write_checkpoint

    write_checkpoint(states, str(path))
    states = torch.load(path)
    optimizer, scheduler = build(*more)
    optimizer.load_state_dict(states["optimizer"])
    scheduler.load_state_dict(states["scheduler"])
    assert rates(optimizer, scheduler, epochs=20 - stop) == whole[stop:]
