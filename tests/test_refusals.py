"""Every bad input of `bad_inputs` is answered by one line, and nothing on the disk changes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import bad_inputs
import bad_world
import fewshot_datasets.check
import multimode_ot.commands
import pytest
from multimode_ot.files import require_folder
from multimode_ot.training.engine import PromptTrainer

for folder in (bad_world.CHECKOUT, bad_world.CHECKOUT / "scripts"):
    sys.path.insert(0, str(folder))

import protocol  # noqa: E402

import train  # noqa: E402

TRAIN = (
    "--trainer CoOp --root fresh --output-dir new/run --seed 1"
    " --dataset-config-file folder.yaml --config-file coop.yaml"
)
WAYS = {
    "train": lambda words: train.main([*shlex.split(TRAIN), *words]),
    "script": protocol.run_command,
    "compare": lambda words: multimode_ot.commands.main(["compare", *words]),
    "check": lambda words: sys.exit(fewshot_datasets.check.main(words)),
}
VALUES = {"too_long": "x" * 300, "sentences": "'a dog\ta cat\ta cow\ta pig\ta hen'"}
ENVIRONMENT = ("CONFIG", "METHODS", "SEEDS", "SHOTS", "PROTOCOL", "SOURCE", "FORCE")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, here, console = tmp_path_factory.mktemp("world"), Path.cwd(), sys.stdout
    try:
        bad_world.make_world(folder, train.main)
    finally:
        sys.stdout = console
        os.chdir(here)
    return folder


def snapshot(folder: Path) -> dict[str, tuple]:
    """What lies in a folder: the modes of all, and the content of files."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def untouched(world, monkeypatch):
    """The folder as the working one, and again as it was when the test is over."""
    before = snapshot(world)
    monkeypatch.chdir(world)
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA", "fresh")
    monkeypatch.setenv("OUTPUT", "new")
    monkeypatch.setattr("dassl.utils.collect_env_info", str)  # runs system commands for a while
    yield world
    after = snapshot(world)
    for name in sorted(after.keys() - before.keys(), reverse=True):
        path = world / name
        path.rmdir() if path.is_dir() else path.unlink()
    for name, (_, content) in before.items():
        if after.get(name) != before[name]:
            (world / name).write_bytes(content)


def call(command: str, monkeypatch) -> None:
    """Do what a row says, in this process."""
    way, _, rest = command.partition(" ")
    words = shlex.split(rest.format(**VALUES))
    while words and way == "script" and "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    console = sys.stdout
    try:
        WAYS[way](words)
    finally:
        sys.stdout = console  # setup_logger replaced it


@pytest.mark.parametrize("bad", bad_inputs.ALL, ids=lambda bad: bad.command)
def test_a_bad_input_is_answered_by_one_line_and_changes_nothing(
    bad, untouched, monkeypatch, capfd
):
    before = snapshot(untouched)
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        call(bad.command, monkeypatch)
    out, error = capfd.readouterr()
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, error
    assert ended.value.code == 2
    assert "Traceback" not in out + error
    for word in bad.words:
        assert word in lines[0]
    after = snapshot(untouched)
    assert sorted(after) == sorted(before)
    assert after == before


def test_there_are_many_different_bad_inputs():
    assert len({bad.command for bad in bad_inputs.ALL}) == len(bad_inputs.ALL) > 80


def test_a_file_that_may_not_be_read_is_named(untouched, monkeypatch, refused):
    def deny(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", deny)
    assert (
        refused(call, "train", monkeypatch) == "error: [Errno 13] Permission denied: 'folder.yaml'"
    )


def test_a_training_that_had_begun_keeps_its_log(untouched, monkeypatch, refused):
    step = PromptTrainer.forward_backward

    def fail_later(self, batch):
        if self.epoch:
            raise FloatingPointError("the loss is NaN or Inf")
        return step(self, batch)

    monkeypatch.setattr(PromptTrainer, "forward_backward", fail_later)
    monkeypatch.setitem(sys.modules, "train", train)
    command = "train --root pictures OPTIM.MAX_EPOCH 2"
    monkeypatch.setattr("multimode_ot.errors._PROGRAMS", ("__main__", "test_refusals"))
    monkeypatch.setitem(sys.modules, "test_refusals", sys.modules[__name__])
    assert "the loss is NaN" in refused(call, command, monkeypatch)
    assert "Traceback" in (untouched / "new/run/log.txt").read_text(encoding="utf-8")


def test_a_refused_call_leaves_what_another_run_has_put_below_its_folder(
    untouched, monkeypatch, refused
):
    def another_run(cfg):
        (untouched / "new/run/other").mkdir()
        (untouched / "new/run/other/log.txt").write_text("epoch 1", encoding="utf-8")
        require_folder("file.txt", "--output-dir")

    monkeypatch.setattr("dassl.engine.build_trainer", another_run)
    assert "file.txt is a file" in refused(call, "train", monkeypatch)
    assert (untouched / "new/run/other/log.txt").is_file()


def test_what_was_unexpected_keeps_its_traceback_and_says_where_to_report_it(
    untouched, monkeypatch, capfd
):
    def fault(cfg):
        return {}["no such key"]

    monkeypatch.setattr("dassl.engine.build_trainer", fault)
    with pytest.raises(KeyError):
        call("train", monkeypatch)
    assert "fault of the program. Please report it" in capfd.readouterr().err
    assert "KeyError: 'no such key'" in (untouched / "new/run/log.txt").read_text(encoding="utf-8")


COMMANDS = {
    "bash scripts/base2new_train.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/base2new_test.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/fewshot.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/xd_train.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/xd_test.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/dg_test.sh ALING 1": "METHOD 'ALING'",
    "bash scripts/compare.sh digitz": "digitz",
    "python train.py --trainer ALING": "--trainer 'ALING'",
    "python -m multimode_ot compare nowhere": "nowhere",
    "python -m multimode_ot explain nowhere": "nowhere",
    "python -m multimode_ot predict nowhere picture.png": "nowhere",
    "python -m multimode_ot export nowhere exported": "nowhere",
    "python -m fewshot_datasets.check digitz": "digitz",
}


@pytest.mark.long
def test_every_command_refuses_in_one_line_and_with_status_2(tmp_path):
    started = {}
    for command in COMMANDS:  # all at once: each spends its time on imports
        line = re.sub(
            r"(scripts/|train\.py)", rf"{shlex.quote(str(bad_world.CHECKOUT))}/\1", command
        )
        started[command] = subprocess.Popen(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OUTPUT": "new", "DATA": "data"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
    for command, process in started.items():
        out, error = process.communicate()
        assert process.returncode == 2, command
        assert out == "" and error.count("\n") == 1 and error.startswith("error: ")
        assert COMMANDS[command] in error
    assert list(tmp_path.iterdir()) == []
