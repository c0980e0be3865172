"""How far a download, an unpacking or a copy has come, with its rate and the time left."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from fewshot_datasets.files import counted, printable, say

EVERY = 30.0  # seconds between two lines where there is no terminal
SMALL, MANY = 1_000_000, 1_000  # bytes, and files: what has fewer gets one line, at its end
TITLE = 30  # letters beside a bar


class Progress:
    """Bytes done of a total: a bar on a terminal (standard error), else a line now and then.

        with Progress("fetch dtd.zip", 626071992) as progress:
            progress.advance(65536)

    What is known to be small gets neither, but one line at the end.

    Args:
        title: what is done, and to what.
        total: bytes; None if that is not known.
        done: bytes that earlier calls did; they count neither for the rate nor for the time left.
        files: files are counted instead of bytes.
    """

    def __init__(self, title: str, total: int | None, done: int = 0, files: bool = False) -> None:
        self.title = title
        self.total = total
        self.done = self._before = done
        self._shown = _counted if files else shown_size
        self._files = files
        self._large: bool | None = None  # not known before anything came
        self._bar: Any = None
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Progress:
        if self.total is not None:
            self._begin(self.total)
        return self

    def _begin(self, total: int | None) -> None:
        self._large = total is None or total >= (MANY if self._files else SMALL)
        if self._large:
            self._bar = _bar(self.title, total, self.done, "file" if self._files else "B")
            if self._bar is None:
                amount = "size unknown" if total is None else self._shown(total)
                there = f", {self._shown(self.done)} are there" if self.done else ""
                say(f"{self.title}: {amount}{there}")

    def advance(self, n: int) -> None:
        """`n` bytes more are done."""
        self.move(self.done + n, self.total)

    def move(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` are done; fewer than before where something begins anew."""
        if self._large is None:
            self._begin(total)
        if done < self.done:
            self._before, self._began = done, time.monotonic()
        step, self.done = done - self.done, done
        if self._bar is not None:
            if total != self.total:
                self._bar.total = total
            self._bar.update(step)
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            say(f"{self.title}: {self._state()}")
        self.total = total

    def _rate(self) -> float:
        return (self.done - self._before) / max(time.monotonic() - self._began, 1e-6)

    def _state(self) -> str:
        of = "" if self.total is None else f" of {self._shown(self.total)}"
        rate = self._rate()
        text = f"{self._shown(self.done)}{of}, {self._shown(rate)}/s"
        if self.total is not None and rate > 0:
            text += f", {shown_time(max(self.total - self.done, 0) / rate)} left"
        return text

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and self._large is not None:  # else nothing came
            took = f", done in {shown_time(time.monotonic() - self._began)}" if self._large else ""
            say(f"{self.title}: {self._shown(self.done)}{took}")


def _bar(title: str, total: int | None, done: int, unit: str):
    """A bar of tqdm, or None where there is no terminal to draw it on."""
    try:
        if not sys.stderr.isatty():
            return None
    except (AttributeError, ValueError):  # there is none, or it is closed
        return None
    with suppress(OSError):
        if os.get_terminal_size(sys.stderr.fileno()).lines == 0:  # tqdm shows nothing there
            return None
    from tqdm import tqdm

    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    title = printable(title).encode(encoding, "backslashreplace").decode(encoding)
    if len(title) > TITLE:  # or there would be no room for the time left
        title = f"{title[: TITLE // 2 - 1]}...{title[2 - TITLE // 2 :]}"
    return tqdm(
        desc=title,
        total=total,
        initial=done,
        unit=unit,
        unit_scale=True,
        dynamic_ncols=True,
        ascii=None if "utf" in encoding.lower() else True,
    )


def _counted(n: float) -> str:
    return counted(round(n), "file")


def shown_size(n: float) -> str:
    """`626 MB`, `5.01 GB`, `2,000 GB`: decimal units, as disks and drives are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    # Three digits, and all of what is before the point.
    return f"{n:,.0f} {unit}" if unit == "bytes" or n >= 99.95 else f"{n:.3g} {unit}"


def shown_time(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
