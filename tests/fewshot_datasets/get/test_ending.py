"""The command ends in one line and with a status, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from fewshot_datasets.get import __main__ as command
from fewshot_datasets.get.ending import SIGNALS, in_one_line
from worlds import World


@pytest.fixture
def usual() -> Iterator[None]:
    """Signals as a command in the foreground has them; a job in the background ignores Ctrl-C."""
    ways = dict.fromkeys(SIGNALS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, way) for number, way in ways.items()}
    yield
    for number, way in before.items():
        signal.signal(number, way)


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_one_line_after_all_was_closed(number, capfd):
    before = [signal.getsignal(each) for each in SIGNALS]
    closed = []
    with pytest.raises(SystemExit) as ended, in_one_line():
        try:
            os.kill(os.getpid(), number)
            threading.Event().wait(5)
        finally:
            closed.append(True)
    assert ended.value.code == 128 + number and closed
    assert capfd.readouterr().out.startswith("interrupted: the same command goes on")
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_the_second_signal_does_not_wait_for_what_is_closed():
    code = """if True:
        import os, signal, time
        from fewshot_datasets.get.ending import in_one_line
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with in_one_line():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, text=True)
    assert done.returncode == 130 and done.stderr == ""


def test_a_signal_that_is_ignored_stays_ignored():
    """As `nohup` and a shell's `&` have it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with in_one_line():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_the_system_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "_run", lambda args: os.listdir(tmp_path / "none"))
    with pytest.raises(SystemExit) as ended:
        command.main(["dtd"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: No such file or directory: {tmp_path}/none\n"


def piped(world: World, tmp_path, shell: str) -> subprocess.CompletedProcess[str]:
    words = f"{sys.executable} -m fewshot_datasets.get dtd --sources {world.sources}"
    line = f"{words} --root {tmp_path}/data {shell}"
    return subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)


def test_a_reader_that_leaves_ends_it_quietly(world, tmp_path):
    assert piped(world, tmp_path, "--dry-run | true").stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is none here")
def test_a_log_on_a_full_disk_is_one_line(world, tmp_path):
    done = piped(world, tmp_path, "> /dev/full")
    assert done.returncode == 1 and done.stderr == "error: No space left on device\n"


def test_without_standard_output_it_works(world, tmp_path):
    done = piped(world, tmp_path, ">&-")
    assert done.returncode == 0 and world.is_whole(tmp_path / "data", "dtd")
