"""Starts of a program in forked processes that are killed at a chosen call.

Any call, of Python or of C code, may be the last, in the middle of a file being written too.
Processes are forked from one that has imported everything, because importing takes longer than
these runs.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """Calls that an unkilled start made, its exit status, and the signal that ended it, or 0."""

    calls: int
    status: int
    signal: int


def start(program: Callable[[], object], log: Path, last_call: int | None = None) -> Ended:
    """Run `program` in a fork, its output appended to `log`, until its `last_call`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open(log, "ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += 1
            if calls == last_call:
                os.kill(os.getpid(), signal.SIGKILL)

        # Its workers are not what is killed here: they end with it.
        os.register_at_fork(after_in_child=lambda: sys.setprofile(None))
        status = 1
        try:
            sys.setprofile(count)
            program()
            sys.setprofile(None)
            os.write(writer, str(calls).encode())
            status = 0
        except SystemExit as ended:
            sys.setprofile(None)
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            sys.setprofile(None)
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    with open(reader, encoding="ascii") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Ended(int(text or 0), 0 if killed else os.WEXITSTATUS(status), killed)
