"""JOBS: several runs of a comparison at the same time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sessions
from same_runs import assert_ended_alike
from sessions import CHECKOUT, of_session, wait_until

sys.path.insert(0, str(CHECKOUT / "scripts"))

from comparison import run_all
from runs import RunFailed


def compare(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    places = {"DATA": str(folder.parent / "data"), "OUTPUT": str(folder), "OMP_NUM_THREADS": "1"}
    chosen = {"METHODS": "ZeroshotCLIP CoOp IVLP", "SEEDS": "1 2", "SHOTS": "1"}
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts/protocol.py"), "compare", "digits"],
        env=os.environ | places | chosen | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.long
def test_runs_at_the_same_time_end_as_those_one_after_the_other(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    environment = {"METHODS": "ZeroshotCLIP IVLP"}
    for folder, jobs in ((one, "1"), (two, "2")):
        done = compare(folder, JOBS=jobs, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
    for seed in (1, 2):
        place = f"base2new/train_base/digits/shots_1/IVLP/demo/seed{seed}"
        assert_ended_alike(one / place, two / place, epochs=20)
        tested = [folder / place.replace("train_base", "test_new") for folder in (one, two)]
        assert (
            tested[0].joinpath("predictions.csv").read_bytes()
            == tested[1].joinpath("predictions.csv").read_bytes()
        )
    tables = [(folder / "comparison/base2new.csv").read_text() for folder in (one, two)]
    assert tables[0] == tables[1]
    assert "epoch [" not in done.stdout


def test_a_run_that_fails_beside_others_says_why_and_the_others_are_done(tmp_path):
    out = tmp_path / "out"
    environment = {"METHODS": "ZeroshotCLIP ZeroshotCLIP2", "JOBS": "2"}
    blocked = out / "base2new/train_base/digits/shots_1/ZeroshotCLIP2/demo/seed1"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file in the place of the folder")
    done = compare(out, **environment)
    assert done.returncode != 0
    assert str(blocked) in done.stdout + done.stderr
    assert (out / "base2new/test_new/digits/shots_1/ZeroshotCLIP/demo/seed1/results.json").is_file()


@pytest.mark.parametrize("jobs", ["0", "two", "-1"])
def test_a_number_of_runs_that_is_none_is_refused(tmp_path, jobs):
    done = compare(tmp_path / "out", JOBS=jobs)
    assert done.returncode == 2
    assert f"JOBS={jobs}" in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ctrl_c_ends_all_of_them(tmp_path):
    process = sessions.start(
        "compare", "digits", folder=tmp_path, METHODS="CoOp", SEEDS="1 2 3", JOBS="2"
    )
    try:
        runs = [
            tmp_path / f"out/base2new/train_base/digits/shots_16/CoOp/demo/seed{seed}/log.txt"
            for seed in (1, 2, 3)
        ]
        wait_until(lambda: all(run.is_file() for run in runs[:2]), "two runs at once")
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        assert process.returncode != 0
        wait_until(lambda: not of_session(process.pid), "the end of all processes", 20)
        assert not runs[2].exists()
    finally:
        sessions.kill_all(process.pid)


class Recorded:
    """A run that takes a moment and notes whether another of its folder was going on."""

    def __init__(self, folder: str, going: list[str], clashes: list[str], fails: bool = False):
        self.directory, self.fails = Path(folder), fails
        self.going, self.clashes = going, clashes

    def results(self, at_once: int) -> None:
        if self.directory.name in self.going:
            self.clashes.append(self.directory.name)
        self.going.append(self.directory.name)
        time.sleep(0.02)
        self.going.remove(self.directory.name)
        if self.fails:
            raise RunFailed(f"{self.directory.name} failed")


def test_targets_that_share_a_training_never_train_it_twice_at_once():
    going, clashes = [], []
    targets = [Recorded(f"target{i}", going, clashes, fails=i == 1) for i in range(4)]
    groups = [[Recorded("source", going, clashes), target] for target in targets]
    assert run_all(groups, 3) == ["target1 failed"]
    assert clashes == []
