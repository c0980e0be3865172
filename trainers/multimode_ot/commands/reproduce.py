"""Reproduce a published table: its plan with what is missing and how long it takes, its runs, and
the table beside the published numbers, with verdicts."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import Parser
from ..results.tree import FOLDERS

# Where scripts and configs are: here, if this is a checkout, else beside the package.
PLACES = (Path(), Path(__file__).resolve().parents[3])
PROGRAMS = ("protocol", "reproduction")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    text = " ".join((__doc__ or "").split())
    parser = Parser(prog="multimode-ot reproduce", description=text)
    add = parser.add_argument
    add("table", metavar="TABLE", choices=FOLDERS, help=", ".join(FOLDERS))
    add("--methods", nargs="+", default=[], help="these; else those with a published row")
    add("--datasets", nargs="+", default=[], help="these; else those of the published table")
    add("--seeds", nargs="+", type=int, default=[], help="these; else 1 2 3")
    add("--shots", nargs="+", type=int, default=[], help="these; else the published ones")
    add(
        "--set",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a setting besides the published ones, such as a file that a method reads",
    )
    add("--dry-run", action="store_true", help="plan, missing things and time alone; runs nothing")
    add("--no-timing", action="store_true", help="measure no steps and estimate no time")
    add("--data", metavar="ROOT", help="data root (default: $DATA, or data of the checkout)")
    add("--output", metavar="DIR", help="output root (default: $OUTPUT, or output of the checkout)")
    return parser.parse_args(arguments)


def checkout() -> Path:
    """The folder with `scripts/` and `configs/`.

    Raises:
        FileNotFoundError: there is none here, nor where the package lies.
    """
    for place in PLACES:
        if all((place / f"scripts/{name}.py").is_file() for name in PROGRAMS):
            return place.resolve()
    raise FileNotFoundError(
        "multimode-ot reproduce runs scripts/ with configs/ of a checkout of this project, and "
        f"there is none in {Path().resolve()}: call it in the checkout's folder"
    )


def main(arguments: Sequence[str]) -> None:
    """Plan, run, tabulate."""
    args = parse_arguments(arguments)
    sys.path.insert(0, str(checkout() / "scripts"))
    protocol, reproduction = (importlib.import_module(name) for name in PROGRAMS)
    protocol.guarded(lambda: reproduction.reproduce(args))
