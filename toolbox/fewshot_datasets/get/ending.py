"""How the command ends before its end: signals, and what the system refuses.

Each is one line and an exit status, never a traceback; folders are cleared on the way out, and
what is left where even that is cut short is cleared by the next call.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fewshot_datasets.files import printable, say

SIGNALS = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    if (number := getattr(signal, name, None)) is not None
]


class Stopped(KeyboardInterrupt):
    """A signal came: Ctrl-C, a terminal that was closed, a machine that shuts down."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def in_one_line() -> Iterator[None]:
    """SystemExit, with the status that shells have for it, after one line of what ended it.

    The first signal is an exception, after which all that is open is closed; the second ends the
    process where it is.
    """
    try:
        with _signals_raise():
            yield
    except KeyboardInterrupt as e:
        _say_last("interrupted: the same command goes on where it stopped")
        number = e.number if isinstance(e, Stopped) else signal.SIGINT
        raise SystemExit(128 + number) from None
    except BrokenPipeError:
        raise  # no fault: the reader of the output left
    except OSError as e:
        places = " to ".join(str(place) for place in (e.filename, e.filename2) if place)
        _complain(f"error: {e.strerror or e}{places and ': '}{places}")
        raise SystemExit(1) from None


@contextmanager
def _signals_raise() -> Iterator[None]:
    """`Stopped` for each of the signals that are not ignored; in other threads nothing changes."""
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            os._exit(128 + number)
        came = True
        raise Stopped(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_last(text: str) -> None:
    try:
        say(text)
    except OSError:  # a full disk, or the signal came while the stream was made ready
        _complain(text)


def _complain(text: str) -> None:
    with suppress(OSError, AttributeError):  # there may be no standard error
        print(printable(text), file=sys.stderr)
    _write_nowhere()


def _write_nowhere() -> None:
    """Python writes out at exit what standard output still has; where it cannot, it complains."""
    with suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
