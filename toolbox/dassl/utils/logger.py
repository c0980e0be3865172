"""The log file: `train.py` calls `setup_logger` once, and all that is printed goes there too."""

import os
import sys
import time
from typing import Any

from .tools import mkdir_if_missing


class Logger:
    """Stands in for `sys.stdout` and copies what is written to a file in UTF-8.

    Everything but writing is the console's: libraries probe `isatty`, `encoding`, `fileno` or
    `buffer` of the standard output. The console is never closed here, it is not ours. What it
    cannot show is escaped (`\\u732b`): a class name must not end a run.
    """

    def __init__(self, fpath: str | None = None) -> None:
        self.console = sys.stdout
        self.file = None
        if fpath is not None:
            mkdir_if_missing(os.path.dirname(fpath))
            # "x": an existing log is never overwritten. Line buffering: a killed run keeps its log.
            # Escapes: file names that are not UTF-8 have parts that no encoding writes.
            self.file = open(  # noqa: SIM115
                fpath, "x", buffering=1, encoding="utf-8", errors="backslashreplace"
            )

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
        try:
            return self.console.write(msg)
        except UnicodeEncodeError:
            encoding = self.console.encoding or "ascii"
            self.console.write(msg.encode(encoding, "backslashreplace").decode(encoding))
            return len(msg)

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

    Raises OSError, with the file, where it cannot be written.
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
    try:
        sys.stdout = Logger(fpath)
    except OSError as error:
        raise OSError(error.errno, f"Cannot write the log ({error.strerror})", fpath) from error
