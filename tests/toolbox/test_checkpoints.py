"""Sections 5.5 and 5.6: checkpoint files, and that reading one runs no code."""

import collections
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
    load_pretrained_weights,
    resume_from_checkpoint,
    save_checkpoint,
)
from torch import nn


def state_of(model, epoch=3, **more):
    return {"state_dict": model.state_dict(), "epoch": epoch, **more}


def test_a_save_writes_the_file_and_then_the_pointer(tmp_path, capsys):
    folder = tmp_path / "new" / "m"
    save_checkpoint(state_of(nn.Linear(2, 1)), str(folder))
    assert capsys.readouterr().out == f"Checkpoint saved to {folder / 'model.pth.tar-3'}\n"
    assert (folder / "checkpoint").read_text() == "model.pth.tar-3\n"
    save_checkpoint(state_of(nn.Linear(2, 1)), str(folder), model_name="model-best.pth.tar")
    assert (folder / "checkpoint").read_text() == "model-best.pth.tar\n"
    assert sorted(os.listdir(folder)) == ["checkpoint", "model-best.pth.tar", "model.pth.tar-3"]


def test_is_best_also_makes_a_copy(tmp_path, capsys):
    save_checkpoint(state_of(nn.Linear(2, 1)), str(tmp_path), is_best=True)
    best = tmp_path / "model-best.pth.tar"
    assert best.read_bytes() == (tmp_path / "model.pth.tar-3").read_bytes()
    assert f'Best checkpoint saved to "{best}"' in capsys.readouterr().out


def test_one_leading_module_is_cut_from_the_keys(tmp_path):
    state = {"state_dict": {"module.module.a": torch.ones(1), "b.module.c": 1.0}, "epoch": 1}
    save_checkpoint(state, str(tmp_path))
    assert list(state["state_dict"]) == ["module.a", "b.module.c"]
    assert list(torch.load(tmp_path / "model.pth.tar-1")["state_dict"]) == list(state["state_dict"])
    save_checkpoint(
        {"state_dict": {"module.a": 1.0}, "epoch": 2}, str(tmp_path), remove_module_from_keys=False
    )
    assert list(torch.load(tmp_path / "model.pth.tar-2")["state_dict"]) == ["module.a"]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    save_checkpoint(state_of(nn.Linear(2, 1)), str(tmp_path))
    before = (tmp_path / "model.pth.tar-3").read_bytes()

    def save_half(state, path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(state_of(nn.Linear(2, 1)), str(tmp_path))
    assert (tmp_path / "model.pth.tar-3").read_bytes() == before


def test_numpy_values_are_written_as_plain_data_and_objects_left_out(tmp_path):
    state = {
        "state_dict": {},
        "epoch": np.int64(2),
        "val_result": np.float64(71.5),
        "scheduler": {"milestones": collections.Counter({3: 1}), "table": np.eye(2)},
        "optimizer": {"odd": object()},
    }
    with pytest.warns(UserWarning, match=r"optimizer\.odd is a object"):
        save_checkpoint(state, str(tmp_path))
    saved = torch.load(tmp_path / "model.pth.tar-2")
    assert saved["val_result"] == 71.5 and type(saved["val_result"]) is float
    assert saved["scheduler"]["milestones"] == {3: 1}
    assert torch.equal(saved["scheduler"]["table"], torch.eye(2, dtype=torch.float64))
    assert saved["optimizer"] == {"odd": None}


def test_no_path_and_a_missing_file_are_said(tmp_path):
    with pytest.raises(ValueError, match="File path is None"):
        load_checkpoint(None)
    with pytest.raises(FileNotFoundError, match=r'File is not found at ".*gone"'):
        load_checkpoint(str(tmp_path / "gone"))


def test_an_unreadable_file_is_named_and_the_error_kept(tmp_path, capsys):
    (tmp_path / "bad").write_bytes(b"no checkpoint")
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(str(tmp_path / "bad"))
    assert f'Unable to load checkpoint from "{tmp_path / "bad"}"' in capsys.readouterr().out


def test_pretrained_weights_take_what_fits(tmp_path, capsys):
    path = str(tmp_path / "weights")
    source = {"module.weight": torch.ones(1, 2), "bias": torch.ones(7), "other": torch.ones(1)}
    torch.save({"state_dict": source}, path)
    model = nn.Linear(2, 1)
    bias = model.bias.detach().clone()
    load_pretrained_weights(model, path)
    assert torch.equal(model.weight.data, torch.ones(1, 2)) and torch.equal(model.bias.data, bias)
    out = capsys.readouterr().out
    assert f"Successfully loaded pretrained weights from {path}\n" in out
    assert "Layers discarded due to unmatched keys or size: ['bias', 'other']" in out
    torch.save({"nothing": torch.ones(1)}, path)
    with pytest.warns(UserWarning, match="check the key names manually"):
        load_pretrained_weights(model, path)


def test_resuming_restores_what_both_sides_have(tmp_path, capsys):
    saved = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(saved.parameters(), lr=0.5)
    save_checkpoint(state_of(saved, optimizer=optimizer.state_dict()), str(tmp_path))
    capsys.readouterr()
    live = nn.Linear(2, 1)
    own = torch.optim.SGD(live.parameters(), lr=0.1)
    assert resume_from_checkpoint(str(tmp_path), nn.DataParallel(live), own, None) == 3
    assert torch.equal(live.weight, saved.weight)
    assert own.param_groups[0]["lr"] == 0.5
    path = tmp_path / "model.pth.tar-3"
    assert capsys.readouterr().out.splitlines() == [
        f'Loading checkpoint from "{path}"',
        "Loaded model weights",
        "Loaded optimizer",
        "Previous epoch: 3",
    ]
    with pytest.raises(RuntimeError, match="Missing key"):
        resume_from_checkpoint(str(tmp_path), nn.Sequential(nn.Linear(2, 1)))


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
