"""The log file: `train.py` calls `setup_logger` once, and all that is printed goes there too."""

import os
import sys
import time
from typing import Any

from .tools import mkdir_if_missing


class Logger:
    """Stands in for `sys.stdout` and copies what is written to a file.

    Everything but writing is the console's: libraries probe `isatty`, `encoding`, `fileno` or
    `buffer` of the standard output. The console is never closed here, it is not ours.
    """

    def __init__(self, fpath: str | None = None) -> None:
        self.console = sys.stdout
        self.file = None
        if fpath is not None:
            mkdir_if_missing(os.path.dirname(fpath))
            # "x": an existing log is never overwritten. Line buffering: a killed run keeps its log.
            self.file = open(fpath, "x", buffering=1, encoding="utf-8")  # noqa: SIM115

    def __getattr__(self, name: str) -> Any:
        if name == "console":  # not constructed yet (copy, pickle)
            raise AttributeError(name)
        return getattr(self.console, name)

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write(self, msg: str) -> int:
        if self.file is not None:
            self.file.write(msg)
        return self.console.write(msg)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        self.console.flush()
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """Close the file; later writes still reach the console."""
        if self.file is not None:
            self.file.close()
            self.file = None


def setup_logger(output: str | None = None) -> None:
    """Copy standard output to `output`, or to `<output>/log.txt` unless it ends in .txt or .log.

    A log that exists is left alone: the new one gets the local time as suffix.
    """
    if output is None:
        return
    fpath = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
    if os.path.exists(fpath):
        fpath += time.strftime("-%Y-%m-%d-%H-%M-%S")
    taken, attempt = fpath, 1
    while os.path.exists(fpath):  # two starts within a second
        attempt += 1
        fpath = f"{taken}-{attempt}"
    sys.stdout = Logger(fpath)
