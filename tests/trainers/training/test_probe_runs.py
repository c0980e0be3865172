"""Probes on features in whole runs: chosen values, exact resuming, new classes."""

import json
from contextlib import contextmanager

import multimode_ot.training.engine as engine
import pytest
import torch
from same_runs import assert_ended_alike, last_checkpoint

EPOCHS = 12
SHORT = ("DATASET.NUM_SHOTS", 4, "OPTIM.MAX_EPOCH", EPOCHS, "TRAIN.CHECKPOINT_FREQ", 1)
RUNS = {
    "ZSLP": (),
    "CLAP": ("TRAINER.CLAP.CONSTRAINT", "l2_adaptative"),
    "LPPP": ("TRAINER.LPPP.TUNE", "val"),
}


@contextmanager
def stopping_at_step(call):
    step, calls = engine.training_step, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "training_step", interrupted)
        yield


def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("method", RUNS)
def test_a_run_that_was_stopped_ends_as_if_it_never_was(method, run, tmp_path):
    given = (*SHORT, *RUNS[method])
    run(method, *given, folder="whole")
    with stopping_at_step(12), pytest.raises(KeyboardInterrupt):
        run(method, *given)
    assert "will resume training" in run(method, *given)
    assert_ended_alike(tmp_path / "whole", tmp_path / "run", EPOCHS)
    assert results(tmp_path / "whole").get("chosen") == results(tmp_path / "run").get("chosen")


def test_lppp_takes_its_rates_from_the_data_and_keeps_them(run, tmp_path):
    run("LPPP", *SHORT)
    chosen = results(tmp_path / "run")["chosen"]
    assert set(chosen) == {"lr", "alpha_lr"} and min(chosen.values()) > 0
    (group,) = last_checkpoint(tmp_path / "run", EPOCHS)["optimizer"]["param_groups"]
    assert group["initial_lr"] == chosen["lr"] and group["momentum"] == 0.9


def test_a_linear_probe_says_what_it_chose_and_on_which_images(run, tmp_path):
    run("LinearProbe", "DATASET.NUM_SHOTS", 4)
    found = results(tmp_path / "run")
    assert found["selection"] == {"rule": "last_step", "epoch": 1, "split": "val", "tuned": "val"}
    assert 1e-7 <= found["chosen"]["C"] <= 1e7
    run("LinearProbe", "DATASET.NUM_SHOTS", 4, "TRAINER.LINEARPROBE.TUNE", "none", folder="fixed")
    found = results(tmp_path / "fixed")
    assert found["chosen"] == {"C": 1.0} and found["selection"]["split"] is None
    run("LinearProbe", "DATASET.NUM_SHOTS", 4, "TRAINER.LINEARPROBE.TUNE", "test", folder="test")
    assert results(tmp_path / "test")["selection"]["remark"] == "selected on test"


def test_a_linear_probe_has_no_chance_in_it(run, tmp_path):
    run("LinearProbe", "DATASET.NUM_SHOTS", 2)
    run("LinearProbe", "DATASET.NUM_SHOTS", 2, folder="again")
    one, other = (last_checkpoint(tmp_path / name, 1)["state_dict"] for name in ("run", "again"))
    assert torch.equal(one["weight"], other["weight"]) and one["weight"].any()


def test_a_linear_probe_refuses_other_classes_in_one_line(run, refused, tmp_path):
    run("LinearProbe", "DATASET.NUM_SHOTS", 2, "DATASET.SUBSAMPLE_CLASSES", "base")
    new = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1)
    line = refused(
        run, "LinearProbe", *new, "DATASET.NUM_SHOTS", 2, "DATASET.SUBSAMPLE_CLASSES", "new",
        folder="new",
    )  # fmt: skip
    assert "rows of LinearProbe belong to: it has no text side" in line


@pytest.mark.parametrize("method", ["ZSLP", "CLAP", "LPPP"])
def test_new_classes_are_marked_as_zero_shot(method, run, tmp_path):
    short = ("DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 2)
    run(method, *short, "DATASET.SUBSAMPLE_CLASSES", "base")
    new = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 2)
    run(method, *new, *short, "DATASET.SUBSAMPLE_CLASSES", "new", folder="new")
    assert "new_is_zero_shot" not in results(tmp_path / "run")
    assert results(tmp_path / "new")["new_is_zero_shot"] is True
