"""A killed run, started again with the same command, ends with the same prompts to the bit."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
# The host's trainers draw from Python's and NumPy's generators too, which a start without few-shot
# cache also uses.
RUNS = {
    "checkpoint each epoch": ["TRAIN.CHECKPOINT_FREQ", "1"],
    "checkpoint at the end only": ["TRAIN.CHECKPOINT_FREQ", "0"],
    "best model on validation": ["TEST.FINAL_MODEL", "best_val"],
    "checkpoints within epochs, gradient scaler": [
        "TRAIN.CHECKPOINT_BATCHES", "2", "TRAINER.COOP.PREC", "amp",
    ],
    "trainer with state, loader and hooks of its own": [
        "--trainer", "ToyPromptSRC", "TRAIN.CHECKPOINT_FREQ", "2",
    ],
    "worker process, image cache": [
        "TRAIN.CHECKPOINT_BATCHES", "2", "DATALOADER.NUM_WORKERS", "1", "DATALOADER.CACHE_MB", "1",
    ],
}  # fmt: skip


def command(folder, images, options):
    """Arguments of a run whose data root and output are its own."""
    data = folder / "data" / "shapes"
    data.mkdir(parents=True)
    (data / "images").symlink_to(images / "shapes" / "images")
    named = options if options[0] == "--trainer" else ["--trainer", "ToyCoOp", *options]
    return [
        "--root", str(folder / "data"), "--output-dir", str(folder / "run"), "--seed", "1",
        "--config-file", str(HERE / "host" / "coop.yaml"),
        "--dataset-config-file", str(HERE / "host" / "shapes.yaml"),
        *named, "DATASET.NUM_SHOTS", "4",
    ]  # fmt: skip


def weights(run):
    """Every tensor of every model file of a run, but those that later saves overwrite."""
    return {
        (str(path.relative_to(run)), key): value
        for path in sorted(run.glob("*/model*.pth.tar*"))
        for key, value in torch.load(path)["state_dict"].items()
    }


def assert_equal_bits(one, other):
    assert one and one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


@pytest.mark.long
def test_a_process_killed_twice_at_any_call_ends_with_the_same_prompts(images, tmp_path):
    draws = random.Random(3)
    jobs = []
    for i, options in enumerate(RUNS.values()):
        folder = tmp_path / str(i)
        jobs.append({
            "uninterrupted": command(folder / "uninterrupted", images, options),
            "killed": command(folder / "killed", images, options),
            "log": str(folder / "log"),
            # Anywhere at first, then in the later part, where there is something to lose.
            "fractions": [draws.uniform(0, 1), draws.uniform(0.3, 0.8)],
        })  # fmt: skip
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    result = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), str(path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    reports = json.loads(result.stdout)
    kills = [s for report in reports for s in report["signals"] if s == signal.SIGKILL]
    assert len(kills) >= len(RUNS)  # a start that has little left to do may end before its moment
    assert all(report["last"] == 0 for report in reports)
    for i in range(len(jobs)):
        folder = tmp_path / str(i)
        done, resumed = weights(folder / "uninterrupted/run"), weights(folder / "killed/run")
        assert_equal_bits(done, resumed)


@pytest.mark.long
def test_a_command_killed_from_outside_ends_with_the_same_prompts(images, tmp_path):
    driver = [sys.executable, str(HERE / "host" / "train.py")]
    options = ["--trainer", "ToyCoOp", "TRAIN.CHECKPOINT_FREQ", "1", "OPTIM.MAX_EPOCH", "12"]
    plain = command(tmp_path / "plain", images, options)
    subprocess.run([*driver, *plain], check=True, capture_output=True)

    killed = command(tmp_path / "killed", images, options)
    line_to_die_at = f"epoch [{random.Random(5).randint(2, 6)}/12]"
    with subprocess.Popen([*driver, *killed], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith(line_to_die_at):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run([*driver, *killed], check=True, capture_output=True, text=True)
    assert "Found checkpoint at" in again.stdout
    assert_equal_bits(weights(tmp_path / "plain/run"), weights(tmp_path / "killed/run"))


def stop_before_epoch(trainer, number):
    """Make `trainer` raise KeyboardInterrupt before that epoch."""

    def stop():
        if trainer.epoch + 1 == number:
            raise KeyboardInterrupt

    trainer.before_epoch = stop


def stop_after(trainer, saves):
    """Make `trainer` raise KeyboardInterrupt right after that many saves."""
    save = trainer.save_model
    done = []

    def save_then_stop(*args, **kwargs):
        save(*args, **kwargs)
        done.append(1)
        if len(done) == saves:
            raise KeyboardInterrupt

    trainer.save_model = save_then_stop


def test_a_run_stopped_between_best_model_and_checkpoint_writes_the_checkpoint(
    make_trainer, tmp_path
):
    options = ("TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1)
    first = make_trainer(*options)
    stop_after(first, saves=1)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    folder = tmp_path / "run" / "prompt_learner"
    assert (folder / "model-best.pth.tar").exists()
    assert not (folder / "model.pth.tar-1").exists()
    make_trainer(*options).train()
    assert torch.load(folder / "model.pth.tar-1")["epoch"] == 1


def test_a_save_inside_a_hook_is_no_resume_point_until_the_hook_returned(
    make_trainer, tmp_path, capsys
):
    options = ("TRAINER.NAME", "ToyPromptSRC", "TRAIN.CHECKPOINT_FREQ", 1)
    first = make_trainer(*options)
    # Saves: midway through epoch 1, its end, midway through epoch 2.
    stop_after(first, saves=3)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    folder = tmp_path / "run" / "prompt_learner"
    assert (folder / "checkpoint").read_text() == "model-midway.pth.tar\n"
    second = make_trainer(*options)
    second.before_train()
    assert second.start_epoch == 1
    assert f'"{folder / "model.pth.tar-1"}"' in capsys.readouterr().out


def test_best_result_counters_and_averages_of_a_trainer_survive(make_trainer):
    options = ("TRAINER.NAME", "ToyPromptSRC", "TEST.FINAL_MODEL", "best_val")
    first = make_trainer(*options, "TRAIN.CHECKPOINT_FREQ", 1)
    stop_after(first, saves=4)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(*options, "TRAIN.CHECKPOINT_FREQ", 1)
    second.before_train()
    second._progress.begin()
    assert second.start_epoch >= 1
    assert second.best_result >= 0  # not minus infinity, as a new run has
    assert second.step_counter == second.start_epoch + 1 == second.consistency[-1]
    assert second.previous_average["ctx"].shape == second.model.prompt_learner.ctx.shape


def test_the_scale_of_a_gradient_scaler_survives(make_trainer):
    options = ("TRAINER.COOP.PREC", "amp", "TRAIN.CHECKPOINT_FREQ", 1)
    first = make_trainer(*options)
    initial = first.scaler.get_scale()
    stop_before_epoch(first, 3)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(*options)
    second.before_train()
    second._progress.begin()
    assert second.scaler.get_scale() == first.scaler.get_scale() != initial


def test_a_run_stopped_before_its_first_checkpoint_ends_the_same_when_started_again(
    make_trainer, tmp_path, data_root
):
    """The second start finds the few-shot cache: its reader draws nothing."""
    make_trainer("OUTPUT_DIR", tmp_path / "whole").train()
    (cache,) = (data_root / "shapes" / "split_fewshot").iterdir()
    cache.unlink()
    stopped = make_trainer()
    assert cache.exists()

    def stop():
        raise KeyboardInterrupt

    stopped.after_epoch = stop
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    make_trainer().train()
    assert_equal_bits(weights(tmp_path / "whole"), weights(tmp_path / "run"))


def test_settings_given_anew_win_over_the_interrupted_run(make_trainer):
    first = make_trainer("TRAIN.CHECKPOINT_FREQ", 1)
    first.patience = 3
    stop_before_epoch(first, 2)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer("TRAIN.CHECKPOINT_FREQ", 1, "OPTIM.MAX_EPOCH", 5)
    second.patience = 7
    second.train()
    assert second.patience == 7
    assert second.epoch == 4


@pytest.mark.parametrize("damage", ["truncated", "empty", "overwritten", "missing"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    damage, make_trainer, tmp_path, prompts
):
    options = ("TRAIN.CHECKPOINT_FREQ", 1)
    make_trainer(*options).train()
    whole = prompts(tmp_path / "run")
    newest = tmp_path / "run" / "prompt_learner" / "model.pth.tar-3"
    content = newest.read_bytes()
    if damage == "missing":
        newest.unlink()
    else:
        newest.write_bytes(
            {"truncated": content[: len(content) // 2], "empty": b"", "overwritten": b"x" * 500}[
                damage
            ]
        )
    with pytest.warns(UserWarning, match=r"model\.pth\.tar-3, trying the checkpoint before"):
        make_trainer(*options).train()
    assert_equal_bits(whole, prompts(tmp_path / "run"))


def test_models_saved_at_different_moments_are_not_mixed(make_trainer, tmp_path):
    options = ("TRAINER.NAME", "ToyPromptSRC", "TRAIN.CHECKPOINT_FREQ", 1)
    make_trainer(*options).train()
    run = tmp_path / "run"
    # As if killed between the two models of the last save.
    (run / "bias" / "model.pth.tar-3").unlink()
    (run / "bias" / "checkpoint").write_text("model.pth.tar-2\n")
    again = make_trainer(*options)
    with pytest.warns(UserWarning, match="bias"):
        again.before_train()
    assert again.start_epoch == 2


def test_random_states_are_in_the_checkpoint_as_plain_data(make_trainer, tmp_path):
    make_trainer().train()
    checkpoint = torch.load(tmp_path / "run" / "prompt_learner" / "model.pth.tar-3")
    assert list(checkpoint)[:5] == ["state_dict", "epoch", "optimizer", "scheduler", "val_result"]
    assert checkpoint["run_state"]["random"].keys() >= {"python", "numpy", "torch", "cuda"}


def test_an_unreadable_pointer_without_other_files_trains_from_scratch(make_trainer, tmp_path):
    folder = tmp_path / "run" / "prompt_learner"
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_text("model.pth.tar-9\n")
    trainer = make_trainer()
    with pytest.warns(UserWarning, match="model.pth.tar-9"):
        trainer.before_train()
    assert trainer.start_epoch == 0
