"""What the commands of this package have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from .files import printable


class Parser(argparse.ArgumentParser):
    """Ends with one line and status 2, where argparse prints several lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {printable(message)} ({self.prog} --help shows what there is)\n")


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call a command; what a console cannot show is escaped, and `| head` is no error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Something is flushed when the interpreter ends, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
