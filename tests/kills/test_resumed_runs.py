"""Runs with regularisers that were killed anywhere end like unkilled ones, to the bit."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from same_runs import assert_ended_alike, last_checkpoint

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
EPOCHS = 4
SHORT = ["DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", str(EPOCHS), "DATALOADER.NUM_WORKERS", "0"]
SHORT += ["DATASET.SUBSAMPLE_CLASSES", "base", "DATALOADER.TRAIN_X.BATCH_SIZE", "4"]
PROMPTSRC = ["frozen_consistency", "weight_average"]
ALL = ["template_consistency", *PROMPTSRC, "gradient_projection"]
RUNS = {
    "PromptSRC, saved within epochs": ("IVLP", PROMPTSRC, ["TRAIN.CHECKPOINT_BATCHES", "1"]),
    "PromptSRC, saved each epoch": ("IVLP", PROMPTSRC, ["TRAIN.CHECKPOINT_FREQ", "1"]),
    "all on MaPLe, saved within epochs": ("MaPLe", ALL, ["TRAIN.CHECKPOINT_BATCHES", "2"]),
    "all on MultiModeOT, saved each second epoch": (
        "MultiModeOT", ALL, ["TRAIN.CHECKPOINT_FREQ", "2"],
    ),
    "on features, saved within epochs": (
        "TaskRes",
        ["weight_average"],
        ["TRAIN.CHECKPOINT_BATCHES", "1", "TRAINER.TASKRES.VIEWS", "2"],
    ),
    "on features, with a search at the end": (
        "TipAdapterF",
        ["weight_average"],
        ["TRAIN.CHECKPOINT_FREQ", "1", "TRAINER.TIPADAPTERF.TUNE", "val"],
    ),
    "the best on validation images": (
        "CoOp", ALL, ["TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", "1"],
    ),
}  # fmt: skip


def arguments(data: Path, method: str, parts: list[str], options: list[str]) -> list[str]:
    node = f"TRAINER.{method.upper()}."
    return [
        "--trainer", method, "--seed", "1", "--root", str(data),
        "--config-file", str(CHECKOUT / f"configs/trainers/{method}/demo.yaml"),
        "--dataset-config-file", str(CHECKOUT / "configs/datasets/digits.yaml"),
        *SHORT, *options, f"{node}REGULARISERS", str(tuple(parts)),
        f"{node}WEIGHT_AVERAGE.MEAN", "2", f"{node}WEIGHT_AVERAGE.STD", "1",
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_again_and_again_at_any_call_ends_like_an_unkilled_one(name, tmp_path):
    draw = random.Random(name)
    jobs = []
    for i in range(3):
        folder = tmp_path / str(i)
        folder.mkdir()
        # Most of a run's calls are made before its first step: three moments are late.
        fractions = [draw.uniform(0, 1), *(draw.uniform(0.5, 1) for _ in range(3))]
        given = arguments(tmp_path / "data", *RUNS[name])
        jobs.append({"arguments": given, "folder": str(folder), "fractions": fractions})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    program = [sys.executable, str(HERE / "resumed_runs.py"), str(tmp_path / "jobs.json")]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert all(report["last"] == 0 for report in reports)
    kills = [s for report in reports for s in report["signals"] if s == signal.SIGKILL]
    assert len(kills) >= 2 * len(jobs)  # a start with little left to do ends before its moment
    for job in jobs:
        whole, killed = Path(job["folder"]) / "whole", Path(job["folder"]) / "killed"
        assert_ended_alike(whole, killed, EPOCHS)
        parts = last_checkpoint(killed, EPOCHS)["scheduler"]["parts"]
        assert parts["weight_average"]["epochs"] == EPOCHS
