"""How far a download, an unpacking or a check has come, with its rate and the time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from fewshot_datasets.files import printable, say

EVERY = 30.0  # seconds between two lines where there is no terminal


class Progress:
    """Bytes done of a total: a bar on a terminal (standard error), else a line now and then.

        with Progress("dtd.zip", 626071992) as progress:
            progress.advance(65536)

    Args:
        title: what is done, or to what.
        total: bytes; None if that is not known.
        done: bytes that earlier calls did; they count neither for the rate nor for the time left.
    """

    def __init__(self, title: str, total: int | None, done: int = 0) -> None:
        self.title = title
        self.total = total
        self.done = self._before = done
        self._began = self._said = time.monotonic()
        self._bar = _bar(title, total, done)

    def __enter__(self) -> Progress:
        if self._bar is None:
            amount = "size unknown" if self.total is None else shown_size(self.total)
            there = f", {shown_size(self.done)} are there" if self.done else ""
            say(f"{self.title}: {amount}{there}")
        return self

    def advance(self, n: int) -> None:
        """`n` bytes more are done."""
        self.move(self.done + n, self.total)

    def move(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` are done; fewer than before where something begins anew."""
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
        of = "" if self.total is None else f" of {shown_size(self.total)}"
        rate = self._rate()
        text = f"{shown_size(self.done)}{of}, {shown_size(rate)}/s"
        if self.total is not None and rate > 0:
            text += f", {shown_time((self.total - self.done) / rate)} left"
        return text

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            took = time.monotonic() - self._began
            say(f"{self.title}: {shown_size(self.done)}, done in {shown_time(took)}")


def _bar(title: str, total: int | None, done: int):
    """A bar of tqdm, or None where there is no terminal to draw it on."""
    try:
        if not sys.stderr.isatty():
            return None
    except (AttributeError, ValueError):  # there is none, or it is closed
        return None
    from tqdm import tqdm

    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    title = printable(title).encode(encoding, "backslashreplace").decode(encoding)
    return tqdm(
        desc=title,
        total=total,
        initial=done,
        unit="B",
        unit_scale=True,
        dynamic_ncols=True,
        ascii=None if "utf" in encoding.lower() else True,
    )


def shown_size(n: float) -> str:
    """`626.1 MB`: decimal units, as disks and drives are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:,.0f} {unit}" if unit == "bytes" else f"{n:,.1f} {unit}"


def shown_time(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
