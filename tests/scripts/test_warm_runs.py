"""Runs that are forked from a warm parent: the same as `python train.py`, and each a process."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sessions
import torch
from fewshot_datasets import READERS
from sessions import CHECKOUT, of_session, wait_until

sys.path.insert(0, str(CHECKOUT / "scripts"))

import warm

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="runs are forked on Linux"
)
SHORT = ("DATASET.NUM_SHOTS", "2", "DATALOADER.NUM_WORKERS", "0", "TRAIN.CHECKPOINT_FREQ", "1")
PLACE = "out/base2new/train_base/digits/shots_16/CoOp/demo/seed1"


@pytest.fixture
def start(tmp_path):
    """Start a script; whatever it leaves behind ends with the test."""
    started = []

    def call(*words: str, **environment: str) -> subprocess.Popen:
        process = sessions.start(*words, folder=tmp_path, **environment)
        started.append(process.pid)
        return process

    yield call
    for session in started:
        sessions.kill_all(session)


@pytest.fixture
def said(tmp_path):
    return lambda: (tmp_path / "said.txt").read_text(encoding="utf-8")


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def without_times(log: str) -> list[str]:
    """A log without what no two runs share: times, memory, folders."""
    log = log[: log.index("** System info **")] + log[log.index("Loading trainer") :]
    log = re.sub(r"(time|data|eta) \S+( \(\S+\))?|Elapsed: \S+", "", log)
    free = ("OUTPUT_DIR", "/", "-shot selection")  # which is made once
    return [line for line in log.splitlines() if not any(word in line for word in free)]


def forked_run(session: int) -> int | None:
    """The process of a run: the one that the fork server has forked."""
    servers = [p for p, line in of_session(session).items() if "forkserver" in line]
    return max(servers) if len(servers) > 1 else None


@pytest.mark.long
def test_a_forked_run_is_to_the_bit_what_train_py_makes(start, said, tmp_path):
    # With workers, and with two threads, which a thread pool of the parent's would break.
    words = ["OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "2", "DATASET.NUM_SHOTS", "4"]
    assert start("base2new_train", "CoOp", "1", *words, OMP_NUM_THREADS="2").wait() == 0, said()
    lines = re.findall(r"^CoOp on .*: (python train\.py .*)$", said(), re.MULTILINE)
    assert len(lines) == 2
    for half, line in zip(("train_base", "test_new"), lines, strict=True):
        command = shlex.split(line.replace(str(tmp_path / "out"), str(tmp_path / "plain")))
        command[:2] = [sys.executable, str(CHECKOUT / "train.py")]
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        ours, plain = (
            tmp_path / place / f"base2new/{half}/digits/shots_16/CoOp/demo/seed1"
            for place in ("out", "plain")
        )
        assert (ours / "predictions.csv").read_bytes() == (plain / "predictions.csv").read_bytes()
        free = {"seconds", "peak_memory_mb"}
        assert {k: v for k, v in results(ours).items() if k not in free} == {
            k: v for k, v in results(plain).items() if k not in free
        }
        logs = [(folder / "log.txt").read_text(encoding="utf-8") for folder in (ours, plain)]
        assert without_times(logs[0]) == without_times(logs[1])
    saved = "base2new/train_base/digits/shots_16/CoOp/demo/seed1/prompt_learner/model.pth.tar-2"
    ours, plain = (
        torch.load(tmp_path / place / saved, weights_only=True) for place in ("out", "plain")
    )
    assert torch.equal(ours["state_dict"]["ctx"], plain["state_dict"]["ctx"])
    assert ours["optimizer"]["state"].keys() == plain["optimizer"]["state"].keys()


@pytest.mark.long
def test_a_killed_run_fails_and_goes_on_where_it_was(start, said, tmp_path):
    words = ["base2new_train", "CoOp", "1", "digits", "OPTIM.MAX_EPOCH", "4", *SHORT]
    killed = start(*words)
    log = tmp_path / PLACE / "log.txt"
    wait_until(lambda: log.is_file() and "epoch [2/4]" in log.read_text(), "the second epoch")
    os.kill(forked_run(killed.pid), signal.SIGKILL)
    assert killed.wait() == 2
    assert said().count("error: ") == 1
    assert f"seed 1, base classes failed; its log is {tmp_path / PLACE}/log.txt" in said()
    assert not (tmp_path / PLACE / "results.json").exists()
    assert start(*words).wait() == 0
    assert "epoch [1/4] batch" not in said()[said().index("error: ") :]
    again = start(*words, OUTPUT=str(tmp_path / "whole"))
    assert again.wait() == 0
    whole = tmp_path / "whole" / PLACE.removeprefix("out/")
    assert results(tmp_path / PLACE)["weights"] == results(whole)["weights"]


@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal does", "to the script alone"])
def test_ctrl_c_ends_the_run_too(start, tmp_path, to_all):
    process = start("base2new_train", "CoOp", "1", "digits", "OPTIM.MAX_EPOCH", "200", *SHORT)
    log = tmp_path / PLACE / "log.txt"
    wait_until(lambda: log.is_file() and "epoch [1/200]" in log.read_text(), "the first epoch")
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    wait_until(lambda: not of_session(process.pid), "the end of the last process", 30)
    assert not (tmp_path / PLACE / "results.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_warms_up_ends_with_the_script(start, number):
    process = start("base2new_train", "CoOp", "1", "digits", *SHORT)
    servers = lambda: [line for line in of_session(process.pid).values() if "forkserver" in line]  # noqa: E731
    wait_until(servers, "the server")
    os.kill(process.pid, number)
    assert process.wait(30) == -number
    wait_until(lambda: not of_session(process.pid), "the end of the last process", 60)


def test_nothing_is_left_where_the_whole_config_is_refused(start, said):
    process = start("base2new_train", "CoOp", "1", "digits", "TRAINER.COOP.NCTX", "2")
    assert process.wait() == 2
    assert said().splitlines()[-1].startswith("error: unknown config key TRAINER.COOP.NCTX")
    wait_until(lambda: not of_session(process.pid), "the end of the last process", 5)


def test_what_a_run_refuses_is_one_line_of_all(start, said, tmp_path):
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(8):
            (tmp_path / "data" / name / f"{i}.png").write_bytes(b"\x89PNG no picture")
    words = ["fewshot", "ZeroshotCLIP", "1", "image_folder", "1"]
    assert start(*words, CONFIG="demo").wait() == 2
    assert said().count("error: ") == 1 and "Traceback" not in said()
    assert "Cannot read the image" in said().splitlines()[-1]


METHOD = """
from multimode_ot.methods.zeroshot_clip import ZeroshotCLIP

class Faulty(ZeroshotCLIP):
    name = "Faulty"
    configs = "ZeroshotCLIP"

    def class_features(self):
        import os, sys
        print(os.getcwd(), os.environ["OF_THE_CALL"], sys.argv[1], flush=True)
        return {}["no such key"]
"""


def test_a_fault_of_a_run_keeps_its_traceback_and_the_place_of_its_log(start, said, tmp_path):
    (tmp_path / "faulty.py").write_text(METHOD, encoding="utf-8")
    words = ["fewshot", "Faulty", "1", "1", "--method-file", "faulty.py"]
    assert start(*words, OF_THE_CALL="here").wait() == 2
    assert f"{tmp_path} here --root" in said()
    assert "KeyError: 'no such key'" in said()
    assert "fault of the program" in said()
    last = said().splitlines()[-1]
    assert last.startswith("error: Faulty on digits, 1 shots, seed 1 failed; its log is ")


def test_where_the_server_has_no_place_for_its_socket_runs_are_plain(start, said, tmp_path):
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    words = ["fewshot", "ZeroshotCLIP", "1", "1"]
    assert start(*words, TMPDIR=str(deep)).wait() == 0, said()
    assert "accuracy %" in said()


PARENT = """
import importlib, os, sys
for name in {names}:
    importlib.import_module(name)
import torch
assert len(os.listdir("/proc/self/task")) == 1, "a fork loses threads"
assert not torch.cuda.is_initialized(), "a fork cannot use CUDA"
before = set(sys.modules)
import train
train.main(sys.argv[1:])
print("new:", *sorted(set(sys.modules) - before), file=sys.stderr)
"""
HEAVY = ("torch", "torchvision", "numpy", "scipy", "sklearn", "sympy", "tensorboard", "google")


def test_the_parent_has_what_takes_a_run_long_to_import_and_computes_nothing(tmp_path):
    reader = READERS["digits"]
    reader.load_split(reader.directory(str(tmp_path)))  # making the scans takes more
    config = CHECKOUT / "configs/trainers/CoOp/demo.yaml"
    words = ["--trainer", "CoOp", "--seed", "1", "--root", tmp_path, "--config-file", config]
    words += ["--dataset-config-file", CHECKOUT / "configs/datasets/digits.yaml"]
    words += ["--output-dir", tmp_path / "out", *SHORT, "OPTIM.MAX_EPOCH", "1"]
    done = subprocess.run(
        [sys.executable, "-c", PARENT.format(names=warm.PRELOADED), *map(str, words)],
        cwd=CHECKOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    new = done.stderr.splitlines()[-1].split()[1:]
    heavy = [name for name in new if name.partition(".")[0] in HEAVY]
    assert len(heavy) < 20, heavy  # of the thousands that a run needs
