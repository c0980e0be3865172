"""Checkpoints that are damaged, of another kind, or of another model: one error with the file."""

import io
import pickle
import zipfile

import pytest
import torch
from dassl.engine import TrainerBase
from dassl.utils import (
    load_checkpoint,
    load_pretrained_weights,
    resume_from_checkpoint,
    save_checkpoint,
)
from torch import nn


def saved(content, **more):
    data = io.BytesIO()
    torch.save(content, data, **more)
    return data.getvalue()


def archive():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("notes.txt", "hello")
    return data.getvalue()


WEIGHTS = {"state_dict": {"weight": torch.ones(100, 10)}, "epoch": 1}
LEGACY = saved(WEIGHTS, _use_new_zipfile_serialization=False)
NO_CHECKPOINTS = {
    "empty": b"",
    "text": b"hello world",
    "page": b"<!DOCTYPE html>",
    "zeros": bytes(100),
    "picture": b"\x89PNG\r\n\x1a\n",
    "half": saved(WEIGHTS)[:2000],
    "torn zip": b"PK\x03\x04 torn",
    "other zip": archive(),
    "half of the old format": LEGACY[: len(LEGACY) // 2],
    "head of the old format": LEGACY[:150],
    "list": saved([1, 2]),
    "tensor": saved(torch.ones(3)),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", NO_CHECKPOINTS)
def test_a_file_that_is_no_checkpoint_is_named_in_one_line(tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(NO_CHECKPOINTS[name])
    with pytest.raises(pickle.UnpicklingError) as error:
        load_checkpoint(str(path))
    text = str(error.value)
    assert f'"{path}"' in text and "checkpoint" in text
    assert "\n" not in text and "weights_only" not in text
    assert f'Unable to load checkpoint from "{path}"' in capsys.readouterr().out


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        load_checkpoint(str(tmp_path))


def state_of(model, **more):
    return {"state_dict": model.state_dict(), "epoch": 3, **more}


OTHERS = {
    "shapes": (nn.Linear(3, 1), r"weight has shape \(1, 3\) in the file and \(1, 2\) here"),
    "both shapes": (nn.Linear(2, 4), r"weight has shape \(4, 2\).*bias has shape \(4,\)"),
    "missing": (nn.Linear(2, 1, bias=False), "Missing keys: bias$"),
    "unexpected": (nn.BatchNorm1d(2), "unexpected keys: num_batches_tracked, running_mean"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("way", ["resume_from_checkpoint", "load_model", "resume_model_if_exist"])
def test_weights_of_another_model_are_refused_with_file_keys_and_shapes(tmp_path, name, way):
    other, said = OTHERS[name]
    save_checkpoint(state_of(other), str(tmp_path / "net"))
    base, model = TrainerBase(), nn.Linear(2, 1)
    base.register_model("net", model)
    load = {
        "resume_from_checkpoint": lambda: resume_from_checkpoint(str(tmp_path / "net"), model),
        "load_model": lambda: base.load_model(str(tmp_path), epoch=3),
        "resume_model_if_exist": lambda: base.resume_model_if_exist(str(tmp_path)),
    }[way]
    with pytest.raises(ValueError, match=said) as error:
        load()
    text = str(error.value)
    assert f'"{tmp_path / "net" / "model.pth.tar-3"}"' in text and "\n" not in text


def test_many_differing_keys_are_counted_not_listed(tmp_path):
    save_checkpoint(state_of(nn.Linear(1, 1)), str(tmp_path))
    deep = nn.Sequential(*(nn.Linear(1, 1) for _ in range(10)))
    with pytest.raises(ValueError, match=r"Missing keys: 0\.bias.* and 15 more; unexpected"):
        resume_from_checkpoint(str(tmp_path), deep)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 1}, "lacks state_dict, and has epoch"),
        ({"state_dict": {}}, "lacks epoch, and has state_dict"),
        ({"weight": torch.ones(1)}, "lacks state_dict, epoch, and has weight"),
        ({}, "lacks state_dict, epoch, and has nothing"),
        ({"state_dict": [1], "epoch": 1}, 'its "state_dict" is a list'),
        ({"state_dict": None, "epoch": 1}, 'its "state_dict" is a NoneType'),
    ],
)
def test_a_mapping_without_weights_is_refused_with_what_it_has(tmp_path, content, said):
    (tmp_path / "net").mkdir()
    torch.save(content, tmp_path / "net" / "model-best.pth.tar")
    base = TrainerBase()
    base.register_model("net", nn.Linear(2, 1))
    with pytest.raises(ValueError, match=rf'model-best\.pth\.tar".*{said}'):
        base.load_model(str(tmp_path))


def test_an_optimizer_of_another_run_is_refused_by_name(tmp_path):
    model = nn.Linear(2, 1)
    one_group = torch.optim.SGD(model.parameters(), lr=0.1)
    two = torch.optim.SGD([{"params": [model.weight]}, {"params": [model.bias]}], lr=0.1)
    save_checkpoint(state_of(model, optimizer=two.state_dict()), str(tmp_path))
    with pytest.raises(ValueError, match=r'optimizer state in ".*model\.pth\.tar-3" does not fit'):
        resume_from_checkpoint(str(tmp_path), model, one_group)


@pytest.mark.parametrize("content", [{"state_dict": 3}, {"state_dict": [torch.ones(1)]}])
def test_pretrained_weights_that_are_no_mapping_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights")
    with pytest.raises(ValueError, match='weights" has no weights'):
        load_pretrained_weights(nn.Linear(1, 1), str(tmp_path / "weights"))


def test_pretrained_weights_pass_over_what_is_no_tensor(tmp_path, capsys):
    torch.save({"weight": torch.ones(1, 1), "bias": 3, 7: "x"}, tmp_path / "weights")
    model = nn.Linear(1, 1)
    load_pretrained_weights(model, str(tmp_path / "weights"))
    assert model.weight.item() == 1
    assert "['bias', '7']" in capsys.readouterr().out


def test_a_pointer_that_is_no_text_is_passed_over(tmp_path):
    model = nn.Linear(2, 1)
    save_checkpoint(state_of(model, run_state={"epoch": 3, "batch": 0}), str(tmp_path / "net"))
    (tmp_path / "net" / "checkpoint").write_bytes(b"\xff\xfe\x00broken")
    base = TrainerBase()
    base.register_model("net", model)
    with pytest.warns(UserWarning, match="Cannot resume from"):
        assert base.resume_model_if_exist(str(tmp_path)) == 3


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=str(tmp_path / "file")):
        save_checkpoint(state_of(nn.Linear(1, 1)), str(tmp_path / "file"))

    def disk_is_full(state, path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed\nat")

    monkeypatch.setattr(torch, "save", disk_is_full)
    with pytest.raises(OSError, match=r'Cannot write ".*model\.pth\.tar-3": .*write failed$'):
        save_checkpoint(state_of(nn.Linear(1, 1)), str(tmp_path / "full"))
    assert list((tmp_path / "full").iterdir()) == []
