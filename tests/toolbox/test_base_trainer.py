"""Section 12.2: registered models, steps, saving and loading."""

import pytest
import torch
from dassl.engine import TrainerBase
from dassl.utils import save_checkpoint
from torch import nn


def one_model(optim=True):
    base = TrainerBase()
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0) if optim else None
    base.register_model("net", model, optimizer)
    return base, model


def test_models_are_registered_once_and_after_the_constructor():
    base, _ = one_model()
    base.register_model("other")
    assert base.get_model_names() == ["net", "other"]
    assert base.get_model_names("net") == ["net"]
    with pytest.raises(AssertionError, match="Found duplicate model names"):
        base.register_model("net")
    with pytest.raises(AssertionError, match='"nut"'):
        base.get_model_names(["nut"])
    with pytest.raises(AttributeError, match=r"before super\(\).__init__\(\) call"):
        TrainerBase.__new__(TrainerBase).register_model("net")
    assert TrainerBase().get_model_names() == []


def test_modes_reach_registered_models():
    base, model = one_model()
    for mode, training in (("test", False), ("train", True), ("eval", False)):
        base.set_model_mode(mode)
        assert model.training == training
    with pytest.raises(KeyError, match="sleep"):
        base.set_model_mode("sleep")


def test_a_step_clears_old_gradients_and_stops_at_a_loss_that_is_not_finite():
    base, model = one_model()
    for _ in range(2):
        before = model.weight.detach().clone()
        base.model_backward_and_update(model(torch.ones(1, 2)).sum())
        assert torch.equal(model.weight, before - 1)
    with pytest.raises(FloatingPointError, match="Loss is infinite or NaN!"):
        base.model_backward_and_update(model(torch.full((1, 2), float("inf"))).sum())
    one_model(optim=False)[0].model_update()


def test_the_base_leaves_the_work_to_subclasses():
    base = TrainerBase()
    for hook in (base.before_train, base.after_train, base.before_epoch, base.after_epoch):
        hook()
    for name in ("run_epoch", "test"):
        with pytest.raises(NotImplementedError, match=rf"TrainerBase must override {name}\(\)"):
            getattr(base, name)()
    for name in ("parse_batch_train", "parse_batch_test", "forward_backward", "model_inference"):
        with pytest.raises(NotImplementedError, match=rf"TrainerBase must override {name}\(\)"):
            getattr(base, name)(None)


def test_loading_names_epoch_and_result_also_if_there_is_none(tmp_path, capsys):
    base, model = one_model()
    weights = {"state_dict": nn.Linear(2, 1).state_dict(), "epoch": 4, "val_result": None}
    save_checkpoint(weights, str(tmp_path / "net"))
    base.load_model(str(tmp_path), epoch=4)
    assert torch.equal(model.weight, weights["state_dict"]["weight"])
    path = tmp_path / "net" / "model.pth.tar-4"
    assert f"Load {path} to net (epoch=4, val_result=None)" in capsys.readouterr().out
    del weights["val_result"]
    save_checkpoint(weights, str(tmp_path / "net"), model_name="model-best.pth.tar")
    base.load_model(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"No model at .*model\.pth\.tar-5"):
        base.load_model(str(tmp_path), epoch=5)
    base.load_model("")
    base.load_model(None)
    note = "Note that load_model() is skipped as no pretrained model is given (ignore this if it's"
    assert capsys.readouterr().out.count(note) == 2


def test_weights_go_into_a_model_that_is_wrapped_for_several_gpus(tmp_path):
    base = TrainerBase()
    inner = nn.Linear(2, 1)
    base.register_model("net", nn.DataParallel(inner))
    base.save_model(0, str(tmp_path))
    saved = inner.weight.detach().clone()
    nn.init.zeros_(inner.weight)
    assert base.resume_model_if_exist(str(tmp_path)) == 1
    assert torch.equal(inner.weight, saved)
    nn.init.zeros_(inner.weight)
    base.load_model(str(tmp_path), epoch=1)
    assert torch.equal(inner.weight, saved)


@pytest.mark.parametrize("present", ["nothing", "folder without pointer"])
def test_without_a_checkpoint_training_starts_from_scratch(tmp_path, capsys, present):
    base, _ = one_model()
    if present != "nothing":
        (tmp_path / "net").mkdir()
    assert base.resume_model_if_exist(str(tmp_path)) == 0
    assert capsys.readouterr().out == "No checkpoint found, train from scratch\n"
    assert TrainerBase().resume_model_if_exist(str(tmp_path)) == 0
