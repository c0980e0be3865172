"""A run with regularisers that was stopped anywhere and started again ends as if it never was."""

import multimode_ot.training.engine as engine
import pytest
import torch
from dassl.engine import TrainerX
from multimode_ot.regularisers import WeightAverage
from same_runs import assert_ended_alike, assert_same, last_checkpoint, stopping

EPOCHS = 3
SHORT = (
    "DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", EPOCHS, "DATALOADER.NUM_WORKERS", 0,
    "DATASET.SUBSAMPLE_CLASSES", "base", "DATALOADER.TRAIN_X.BATCH_SIZE", 4,
)  # fmt: skip
ALL = ("template_consistency", "frozen_consistency", "weight_average", "gradient_projection")
EACH_EPOCH = ("TRAIN.CHECKPOINT_FREQ", 1)
EACH_BATCH = ("TRAIN.CHECKPOINT_BATCHES", 1)


def options(method, parts, *more):
    node = f"TRAINER.{method.upper()}."
    average = (node + "WEIGHT_AVERAGE.MEAN", 2, node + "WEIGHT_AVERAGE.STD", 1)
    return (*SHORT, node + "REGULARISERS", str(tuple(parts)), *average, *more)


@pytest.fixture
def start_interrupted(run):
    def start(method, given, *where):
        with stopping(*where), pytest.raises(KeyboardInterrupt):
            run(method, *given)

    return start


# Two batches an epoch.
MOMENTS = {
    "within the first epoch": (EACH_BATCH, engine, "training_step", 2),
    "within the second epoch": (EACH_BATCH, engine, "training_step", 4),
    "within the last epoch": (EACH_BATCH, engine, "training_step", 6),
    "between an epoch's last step and its count": (EACH_BATCH, WeightAverage, "epoch_ended", 2),
    "between the last step and its count": (EACH_BATCH, WeightAverage, "epoch_ended", 3),
    "between the count and the save": (EACH_EPOCH, engine, "keep_state", 2),
    "between epochs": (EACH_EPOCH, engine, "training_step", 3),
    "between epochs that are not saved": (("TRAIN.CHECKPOINT_FREQ", 2), engine, "training_step", 6),
    "before the average is taken": (EACH_BATCH, WeightAverage, "training_ended", 1),
    "after the average was taken, before it is saved": (EACH_BATCH, engine, "keep_state", 3),
    "after the last epoch": (EACH_EPOCH, TrainerX, "after_train", 1),
}


@pytest.fixture(scope="module")
def folder_of_the_whole(tmp_path_factory):
    return tmp_path_factory.mktemp("uninterrupted") / "run"


@pytest.fixture
def whole(run, folder_of_the_whole):
    """Of a run that was not stopped; how often it saves is nothing to its end."""
    if not folder_of_the_whole.exists():
        run("MaPLe", *options("MaPLe", ALL, *EACH_EPOCH), folder=folder_of_the_whole)
    return folder_of_the_whole


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_with_all_regularisers_stopped_and_started_again(
    run, start_interrupted, tmp_path, whole, moment
):
    saves, *where = MOMENTS[moment]
    given = options("MaPLe", ALL, *saves)
    start_interrupted("MaPLe", given, *where)
    assert not (tmp_path / "run/results.json").exists()
    output = run("MaPLe", *given)
    assert "will resume training" in output
    assert_ended_alike(whole, tmp_path / "run", EPOCHS)


def test_a_run_stopped_at_every_other_step_ends_alike(run, tmp_path):
    given = options("IVLP", ["frozen_consistency", "weight_average"], *EACH_BATCH)
    run("IVLP", *given, folder="whole")
    stops = 0
    while not (tmp_path / "run/results.json").exists():
        try:
            with stopping(engine, "training_step", 3):
                run("IVLP", *given)
        except KeyboardInterrupt:
            stops += 1
    assert stops == EPOCHS - 1
    assert_ended_alike(tmp_path / "whole", tmp_path / "run", EPOCHS)


def test_a_finished_run_keeps_its_average_when_it_is_started_again(run, tmp_path):
    given = options("CoOp", ["weight_average"], *EACH_EPOCH)
    run("CoOp", *given)
    before = last_checkpoint(tmp_path / "run", EPOCHS)
    assert "This run is complete" in run("CoOp", *given)
    assert_same(before, last_checkpoint(tmp_path / "run", EPOCHS))


def test_a_run_goes_on_in_another_folder(run, start_interrupted, tmp_path):
    given = options("CoOp", ["weight_average"], *EACH_EPOCH)
    run("CoOp", *given, folder="whole")
    start_interrupted("CoOp", given, engine, "training_step", 4)
    run("CoOp", "--resume", tmp_path / "run", *given, folder="more")
    assert_ended_alike(tmp_path / "whole", tmp_path / "more", EPOCHS)


def edit(folder, change):
    for path in folder.glob("*/model*.pth.tar*"):
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)


def test_a_checkpoint_without_the_average_is_refused(run, refused, start_interrupted, tmp_path):
    given = options("CoOp", ["weight_average"], *EACH_EPOCH)
    start_interrupted("CoOp", given, engine, "training_step", 3)
    edit(tmp_path / "run", lambda checkpoint: checkpoint["scheduler"].pop("parts"))
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    line = refused(run, "CoOp", *given)
    assert str(tmp_path / "run") in line
    assert "the checkpoint of epoch 1 holds the average of 0 epochs" in line
    assert "start anew" in line
    after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    changed = {p.name for p in before if after.get(p) != before[p]}
    assert changed <= {"log.txt", "run.json"} and after.keys() >= before.keys()
    line = refused(run, "CoOp", "--resume", tmp_path / "run", *given, folder="more")
    assert str(tmp_path / "run") in line and not (tmp_path / "more").exists()


def test_the_average_of_too_few_epochs_is_refused(run, refused, start_interrupted, tmp_path):
    given = options("CoOp", ["weight_average"], *EACH_EPOCH)
    start_interrupted("CoOp", given, engine, "training_step", 5)

    def forget_one(checkpoint):
        checkpoint["scheduler"]["parts"]["weight_average"]["epochs"] -= 1

    edit(tmp_path / "run", forget_one)
    assert "epoch 2 holds the average of 1 epochs" in refused(run, "CoOp", *given)


def test_hosts_that_save_no_state_of_the_run_still_keep_the_average(
    run, start_interrupted, tmp_path, monkeypatch
):
    """The original Dassl saves weights, optimiser and schedule at the ends of epochs, alone."""
    given = options("IVLP", ["weight_average"], *EACH_EPOCH)
    ends, ended = [], WeightAverage.epoch_ended

    def recorded(part, model, epoch, epochs):
        ends.append({k: v.clone() for k, v in model.prompt_learner.state_dict().items()})
        ended(part, model, epoch, epochs)

    monkeypatch.setattr(WeightAverage, "epoch_ended", recorded)
    start_interrupted("IVLP", given, engine, "training_step", 5)
    edit(tmp_path / "run", lambda checkpoint: checkpoint.pop("run_state"))
    run("IVLP", *given)
    assert len(ends) == EPOCHS
    weights = torch.tensor([-0.5, 0, -0.5], dtype=torch.double).softmax(0)
    for key, value in last_checkpoint(tmp_path / "run", EPOCHS)["state_dict"].items():
        expected = sum(w * one[key].double() for w, one in zip(weights, ends, strict=True))
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-8)
