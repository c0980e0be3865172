"""Section 5.5: checkpoint files."""

import collections
import enum
import os
import pickle

import numpy as np
import pytest
import torch
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


class Kind(str, enum.Enum):
    FIRST = "first"


def test_numpy_values_are_written_as_plain_data_and_objects_left_out(tmp_path):
    state = {
        "state_dict": {},
        "epoch": np.int64(2),
        "val_result": np.float64(71.5),
        "scheduler": {"milestones": collections.Counter({3: 1}), "table": np.eye(2)},
        "optimizer": {"odd": object()},
        "kind": Kind.FIRST,
        "counts": {np.int64(3): np.float32(0.5)},
    }
    with pytest.warns(UserWarning, match=r"optimizer\.odd is a object"):
        save_checkpoint(state, str(tmp_path))
    saved = torch.load(tmp_path / "model.pth.tar-2")
    assert saved["val_result"] == 71.5 and type(saved["val_result"]) is float
    assert saved["scheduler"]["milestones"] == {3: 1}
    assert torch.equal(saved["scheduler"]["table"], torch.eye(2, dtype=torch.float64))
    assert saved["optimizer"] == {"odd": None}
    assert saved["kind"] == "first" and type(saved["kind"]) is str
    assert saved["counts"] == {3: 0.5} and type(next(iter(saved["counts"]))) is int


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
