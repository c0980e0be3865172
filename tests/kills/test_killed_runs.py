"""A killed run goes on or is refused: what its folder reports is never what another run made."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
SHORT = ["DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "0"]
SHORT += ["DATASET.SUBSAMPLE_CLASSES", "base", "TRAIN.CHECKPOINT_FREQ", "1"]
OTHERS = {
    "other settings": ["OPTIM.LR", "0.5"],
    "other shots": ["DATASET.NUM_SHOTS", "3"],
    "other classes": ["DATASET.SUBSAMPLE_CLASSES", "new"],
}


def kill(folder: Path, change: list[str], fractions: list[float]) -> dict:
    arguments = ["--trainer", "CoOp", "--seed", "1", "--root", str(folder / "data")]
    arguments += ["--config-file", str(CHECKOUT / "configs/trainers/CoOp/demo.yaml")]
    arguments += ["--dataset-config-file", str(CHECKOUT / "configs/datasets/digits.yaml")]
    first, second = [*arguments, *SHORT], [*arguments, *SHORT, *change]
    job = {"first": first, "second": second, "folder": str(folder), "fractions": fractions}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    program = [sys.executable, str(HERE / "killed_runs.py"), str(folder / "job.json")]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(one: dict, other: dict) -> bool:
    return all(one[key] == other[key] for key in ("weights", "correct", "made_of", "selection"))


def assert_no_result_is_anothers(report: dict) -> None:
    first, second = report["first"]["results"], report["second"]["results"]
    assert not same(first, second)
    for moment in report["moments"]:
        killed, other, again = moment["killed"], moment["other"], moment["again"]
        assert killed["signal"] == signal.SIGKILL
        assert killed["results"] is None or same(killed["results"], first)
        if other["status"]:
            # Refused: the folder is the first run's, which ends as if never killed.
            assert other["status"] == 2 and other["results"] == killed["results"]
            assert again["status"] == 0 and same(again["results"], first)
        else:
            assert same(other["results"], second)
            assert again["status"] == 2 and again["results"] == other["results"]


@pytest.mark.long
def test_a_killed_run_never_reports_what_another_made(tmp_path):
    report = kill(tmp_path, OTHERS["other settings"], [0.02, 0.5, 0.98])
    assert_no_result_is_anothers(report)
    assert {m["other"]["status"] for m in report["moments"]} == {0, 2}


@pytest.mark.long
@pytest.mark.parametrize("change", OTHERS)
def test_a_run_killed_at_any_moment_never_reports_what_another_made(change, tmp_path):
    draw = random.Random(change)
    fractions = [draw.random() for _ in range(6)] + [1 - draw.random() / 50 for _ in range(4)]
    assert_no_result_is_anothers(kill(tmp_path, OTHERS[change], fractions))
