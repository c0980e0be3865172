import io
import os
import sys

import pytest
from fewshot_datasets.get import progress as module
from fewshot_datasets.get.progress import Progress, shown_size, shown_time


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which tests move."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_there_is_a_line_at_the_ends_and_now_and_then(clock, capsys):
    with Progress("x.zip", 1_000_000_000) as progress:
        for _ in range(10):
            clock[0] += 10
            progress.advance(100_000_000)
    assert capsys.readouterr().out.splitlines() == [
        "x.zip: 1 GB",
        "x.zip: 300 MB of 1 GB, 10 MB/s, 70 s left",
        "x.zip: 600 MB of 1 GB, 10 MB/s, 40 s left",
        "x.zip: 900 MB of 1 GB, 10 MB/s, 10 s left",
        "x.zip: 1 GB, done in 2 min",
    ]


def test_a_size_that_is_not_known_gives_no_time_left(clock, capsys):
    with Progress("x.zip", None) as progress:
        clock[0] += 30
        progress.advance(3_000_000)
    assert capsys.readouterr().out.splitlines() == [
        "x.zip: size unknown",
        "x.zip: 3 MB, 100 kB/s",
        "x.zip: 3 MB, done in 30 s",
    ]


def test_what_was_there_does_not_count_for_the_rate(clock, capsys):
    with Progress("x.zip", 1_000_000, done=900_000) as progress:
        clock[0] += 30
        progress.advance(30_000)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "x.zip: 1 MB, 900 kB are there"
    assert said[1] == "x.zip: 930 kB of 1 MB, 1 kB/s, 70 s left"


def test_what_begins_anew_begins_its_rate_anew(clock, capsys):
    with Progress("x.zip", 1000, done=900) as progress:
        clock[0] += 100
        progress.move(0, 2000)
        clock[0] += 30
        progress.advance(30)
    assert "x.zip: 30 bytes of 2 kB, 1 bytes/s, 33 min left" in capsys.readouterr().out


def test_a_small_file_is_one_line_on_a_terminal_too(clock, monkeypatch, capsys):
    for stream in (io.StringIO(), Terminal("utf-8")):
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("x.json", None) as progress:
            progress.move(60, 999_999)  # a drive tells the size when it sends
            progress.advance(999_939)
        assert capsys.readouterr().out == "x.json: 1,000 kB\n"


def test_files_are_counted_as_bytes_are(clock, capsys):
    with Progress("copy images", 2000, files=True) as progress:
        clock[0] += 40
        progress.advance(500)
        clock[0] += 20
        progress.advance(1500)
    assert capsys.readouterr().out.splitlines() == [
        "copy images: 2,000 files",
        "copy images: 500 files of 2,000 files, 12 files/s, 2 min left",
        "copy images: 2,000 files, done in 60 s",
    ]
    with Progress("copy lists", 3, files=True) as progress:
        progress.advance(3)
    assert capsys.readouterr().out == "copy lists: 3 files\n"


def test_where_nothing_came_nothing_is_said(capsys):
    with Progress("link images", None, files=True):
        pass
    assert capsys.readouterr().out == ""


def test_a_long_name_leaves_room_for_the_time_that_is_left(monkeypatch):
    terminal = Terminal("utf-8")
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("unpack imagenetv2-matched-frequency.tar.gz", 10_000_000):
        pass
    assert "unpack imagene...quency.tar.gz:" in terminal.shown


def test_a_fault_says_no_end(capsys):
    with pytest.raises(KeyError), Progress("x.zip", 10_000_000):
        raise KeyError
    assert capsys.readouterr().out == "x.zip: 10 MB\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "latin-1"])
def test_a_terminal_shows_a_bar_whatever_it_can_show(monkeypatch, capsys, encoding):
    terminal = Terminal(encoding)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("Ψ\n.zip", 10_000_000) as progress:
        progress.advance(2_500_000)
        progress.move(5_000_000, 10_000_000)
    assert "50%" in terminal.shown and "5.00M/10.0M" in terminal.shown
    assert "\n" not in terminal.shown.rstrip("\n")
    assert capsys.readouterr().out == ""


def test_a_terminal_that_says_it_has_no_lines_gets_lines(monkeypatch, capsys):
    """Containers and `script` have such ones."""
    terminal = Terminal("utf-8")
    monkeypatch.setattr(terminal, "fileno", lambda: 2)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module.os, "get_terminal_size", lambda fd: os.terminal_size((80, 0)))
    with Progress("x.zip", 10_000_000):
        pass
    assert terminal.shown == "" and capsys.readouterr().out.startswith("x.zip: 10 MB\n")


@pytest.mark.parametrize("stream", [None, "closed"])
def test_no_standard_error_is_no_terminal(monkeypatch, capsys, stream):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    with Progress("x.zip", 10_000_000) as progress:
        progress.advance(10_000_000)
    assert "done in" in capsys.readouterr().out


def test_sizes_and_times_in_words():
    sizes = [shown_size(n) for n in (0, 999, 1000, 626_071_992, 5_010_000_000, 2e12)]
    assert sizes == ["0 bytes", "999 bytes", "1 kB", "626 MB", "5.01 GB", "2,000 GB"]
    times = [shown_time(n) for n in (0, 89, 90, 5300, 12_000)]
    assert times == ["0 s", "89 s", "2 min", "88 min", "3 h 20 min"]
