"""Section 5.6: files of the original are read, and reading any file runs no code of it."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import (
    load_checkpoint,
    resume_from_checkpoint,
    save_checkpoint,
)
from torch import nn

# The old form: the original pickles the scheduler that follows warm-up, with its optimizer.


def old_form(epochs_done):
    """A checkpoint as the original writes it after some epochs of warm-up and cosine."""
    model = nn.Linear(2, 1)
    cfg = get_cfg_default().OPTIM
    cfg.merge_from_list(OPTIONS)
    optimizer = build_optimizer(model, cfg)
    scheduler = build_lr_scheduler(optimizer, cfg)
    for _ in range(epochs_done):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()
    attributes = {k: v for k, v in vars(scheduler).items() if k != "optimizer"}
    assert isinstance(attributes["successor"], torch.optim.lr_scheduler.LRScheduler)
    # The step counter that torch wraps around the optimizer's step does not pickle.
    vars(optimizer).pop("step", None)
    return {
        "state_dict": model.state_dict(),
        "epoch": epochs_done,
        "optimizer": optimizer.state_dict(),
        "scheduler": attributes,
        "val_result": None,
    }


OPTIONS = [
    "NAME", "sgd", "LR", 0.002, "MAX_EPOCH", 50, "LR_SCHEDULER", "cosine",
    "WARMUP_EPOCH", 1, "WARMUP_TYPE", "constant",
]  # fmt: skip
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip format", "legacy format"])


@FORMATS
def test_an_old_file_is_read_with_its_scheduler_as_plain_numbers(tmp_path, zipped):
    path = tmp_path / "model.pth.tar-10"
    torch.save(old_form(10), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path)
    successor = load_checkpoint(str(path))["scheduler"]["successor"]
    assert type(successor) is dict
    assert successor["T_max"] == 50 and successor["last_epoch"] == 9
    assert "optimizer" not in successor
    save_checkpoint(load_checkpoint(str(path)), str(tmp_path / "again"))
    torch.load(tmp_path / "again" / "model.pth.tar-10")


@FORMATS
def test_resuming_from_an_old_file_drives_the_live_learning_rate(tmp_path, zipped):
    path = tmp_path / "model.pth.tar-10"
    torch.save(old_form(10), path, _use_new_zipfile_serialization=zipped)
    (tmp_path / "checkpoint").write_text("model.pth.tar-10\n")

    def rates(model, optimizer, scheduler, epochs):
        values = []
        for _ in range(epochs):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return values

    def fresh():
        cfg = get_cfg_default().OPTIM
        cfg.merge_from_list(OPTIONS)
        model = nn.Linear(2, 1)
        optimizer = build_optimizer(model, cfg)
        return model, optimizer, build_lr_scheduler(optimizer, cfg)

    whole = rates(*fresh(), epochs=50)
    resumed = fresh()
    assert resume_from_checkpoint(str(tmp_path), *resumed) == 10
    assert rates(*resumed, epochs=40) == pytest.approx(whole[10:], abs=1e-15)


class Command:
    """Runs a function when unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Build:
    """Unpickles as a class that the old form names, with a state of the attacker's choice."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        # A scheduler made by its constructor, which the reader must not call either.
        return torch.optim.lr_scheduler.StepLR, (), self.state


@FORMATS
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.system, "posix.system"),
        (eval, "eval"),
        (exec, "exec"),
        (getattr, "getattr"),
        (__import__, "__import__"),
        (pickle.loads, "pickle.loads"),
        (torch.load, "torch.serialization.load"),
        (torch.hub.load, "torch.hub.load"),
        (np.save, "numpy.save"),
    ],
)
@pytest.mark.parametrize("hidden", ["at the top", "in a scheduler", "as state of an allowed class"])
def test_a_malicious_file_is_refused_by_name_and_runs_nothing(
    tmp_path, monkeypatch, function, named, hidden, zipped
):
    trap = tmp_path / "trap"
    arguments = {
        eval: (f"open({str(trap)!r}, 'w')",),
        exec: (f"open({str(trap)!r}, 'w')",),
        os.system: (f"touch {trap}",),
        np.save: (str(trap), 0),
    }.get(function, ("os", "x"))
    command = Command(function, *arguments)
    if hidden == "at the top":
        content = command
    elif hidden == "in a scheduler":
        content = old_form(2)
        content["scheduler"]["successor"].__dict__["optimizer"] = command
    else:
        content = {"state_dict": {}, "epoch": 1, "scheduler": Build({"__reduce__": command})}
    path = tmp_path / "evil"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError) as error:
        load_checkpoint(str(path))
    assert named.rsplit(".", 1)[-1] in str(error.value)
    assert str(path) in str(error.value)
    assert "weights_only" not in str(error.value)  # torch's text recommends to switch it off
    assert not trap.exists() and not (tmp_path / "trap.npy").exists()


def test_a_class_of_the_files_own_is_refused(tmp_path, monkeypatch):
    module = types.ModuleType("torch.optim.evil")

    class Scheduler:
        def __setstate__(self, state):
            raise SystemExit("code from the file ran")

    Scheduler.__module__, Scheduler.__qualname__ = "torch.optim.evil", "Scheduler"
    module.Scheduler = Scheduler
    monkeypatch.setitem(sys.modules, "torch.optim.evil", module)
    thing = Scheduler()
    thing.a = 1
    torch.save({"scheduler": thing}, tmp_path / "evil")
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.optim\.evil\.Scheduler"):
        load_checkpoint(str(tmp_path / "evil"))


def test_a_constructor_of_an_allowed_class_is_not_called(tmp_path, monkeypatch):
    def constructor(self, *args):
        raise SystemExit("a constructor ran")

    torch.save({"scheduler": Build({"last_epoch": 4})}, tmp_path / "file")
    monkeypatch.setattr(torch.optim.lr_scheduler.StepLR, "__init__", constructor)
    assert load_checkpoint(str(tmp_path / "file")) == {"scheduler": {"last_epoch": 4}}


def test_a_compiled_program_posing_as_weights_is_refused(tmp_path):
    path = str(tmp_path / "script.pt")
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), path)
    with pytest.raises((RuntimeError, pickle.UnpicklingError)):
        load_checkpoint(path)


def test_what_is_admitted_for_an_old_file_is_not_admitted_afterwards(tmp_path):
    path = tmp_path / "model.pth.tar-2"
    torch.save(old_form(2), path)
    before = set(torch.serialization.get_safe_globals())
    load_checkpoint(str(path))
    assert set(torch.serialization.get_safe_globals()) == before
