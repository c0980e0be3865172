"""How the commands end when something is wrong: one line for what their user can mend, and the
traceback of everything else."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import NoReturn

STATUS = 2  # of every expected error, as argparse has it
# Errors of these types are for the user where a package of this project raised them.
_FOR_THE_USER = (
    ValueError,
    ImportError,
    AssertionError,
    FloatingPointError,
    NotImplementedError,
    UnpicklingError,
)
_PACKAGES = ("multimode_ot", "dassl", "fewshot_datasets")
_PROGRAMS = (
    "__main__",
    "train",
    "protocol",
    "comparison",
    "ablation",
    "plan_files",
    "preparation",
    "reproduction",
    "published_plan",
    "estimate",
    "step_times",
    "protocol_runs",
    "runs",
    "stages",
    "jobs",
    "method_configs",
)


class Parser(argparse.ArgumentParser):
    """Raises `ValueError` for a wrong command line, where argparse prints several lines."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} ({self.prog} --help shows what there is)")


def is_expected(error: BaseException) -> bool:
    """Whether the message alone tells what its user has to know: the system's refusals, and what
    this project's own code refuses."""
    if isinstance(error, OSError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, _FOR_THE_USER) and bool(frames) and _is_ours(frames[-1].filename)


def _is_ours(file: str) -> bool:
    def place(module: str) -> Path:
        return Path(getattr(sys.modules.get(module), "__file__", None) or "/none").resolve()

    path = Path(file).resolve()
    packages = [place(name).parent for name in _PACKAGES if name in sys.modules]
    return path in map(place, _PROGRAMS) or any(folder in path.parents for folder in packages)


def one_line(error: BaseException) -> str:
    """The message on one line; of one that a loader's worker passed on, the worker's own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Original Traceback") for line in lines):
        lines = [lines[-1].partition(": ")[2] or lines[-1]]
    return "; ".join(lines) or type(error).__name__


@contextmanager
def one_line_errors(
    before: Callable[[BaseException], None] = lambda error: None, report: str = ""
) -> Iterator[None]:
    """End the process with status 2 and one `error:` line where an error is expected.

    Output that the console cannot show is escaped.

    Args:
        before: called with any error first.
        report: what to add to a report of an unexpected error.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except Exception as error:
        before(error)
        if is_expected(error):
            print(f"error: {one_line(error)}", file=sys.stderr)
            raise SystemExit(STATUS) from None
        print(
            "This is a fault of the program. Please report it to its authors, with the lines below"
            f"{report}.",
            file=sys.stderr,
        )
        raise
