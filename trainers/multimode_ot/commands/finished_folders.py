"""The folders that `predict` and `export` take, and where what belongs to them is now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..results.finished import results_of_run

if TYPE_CHECKING:
    from ..training.finished import FinishedRun
    from ..training.labelling import Labeller


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options that say where something is that a folder names, and where to run."""
    add = parser.add_argument
    add("--backbone", metavar="NAME_OR_FILE", help="the backbone, where it is elsewhere now")
    add("--checkpoint", metavar="FILE", help="a run's weights, likewise")
    add("--method-file", action="append", default=[], help="a file with a method of your own")
    add("--device", default="auto", help="auto (cuda where there is one), cpu, cuda, cuda:1, ...")


def check_folder(args: argparse.Namespace) -> None:
    """Refuse a folder that is none of a finished run or saved classifier, before torch is here."""
    results_of_run(args.run)


def finished_run(args: argparse.Namespace) -> FinishedRun:
    from ..training.finished import FinishedRun

    return FinishedRun(args.run, backbone=args.backbone, checkpoint=args.checkpoint)


def labeller(args: argparse.Namespace) -> Labeller:
    """What labels pictures."""
    from ..training.labelling import labeller_of_run
    from ..training.machine import choose_device

    return labeller_of_run(finished_run(args), choose_device(args.device))
