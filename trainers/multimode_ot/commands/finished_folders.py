"""The folders that `predict` and `export` take, and where what belongs to them is now."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..results.finished import results_of_run

if TYPE_CHECKING:
    from ..training.finished import FinishedRun
    from ..training.labelling import Labeller

SAVED = "classifier.json"  # what a saved classifier has and a run has not


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options that say where something is that a folder names, and where to run."""
    add = parser.add_argument
    add("--backbone", metavar="NAME_OR_FILE", help="the backbone, where it is elsewhere now")
    add("--checkpoint", metavar="FILE", help="a run's weights, likewise")
    add(
        "--method-file",
        action="append",
        default=[],
        metavar="FILE",
        help="a file with a method of your own",
    )
    add("--device", default="auto", help="auto (cuda where there is one), cpu, cuda, cuda:1, ...")


def is_saved(args: argparse.Namespace) -> bool:
    """Whether RUN is a saved classifier's folder."""
    return os.path.isfile(args.run / SAVED)


def check_folder(args: argparse.Namespace) -> None:
    """Refuse a folder that is none of a finished run or saved classifier, before torch is here."""
    if not is_saved(args):
        results_of_run(args.run)
    elif args.checkpoint:
        raise ValueError(
            f"--checkpoint {args.checkpoint}: {args.run} is a saved classifier, which has its "
            "weights; the option is for runs"
        )


def finished_run(args: argparse.Namespace) -> FinishedRun:
    """The run in RUN."""
    from ..training.finished import FinishedRun

    return FinishedRun(args.run, backbone=args.backbone, checkpoint=args.checkpoint)


def labeller(args: argparse.Namespace) -> Labeller:
    """What labels pictures, of the run or saved classifier in RUN."""
    from ..classifier.saved import read_saved
    from ..training.labelling import Labeller, labeller_of_run
    from ..training.machine import choose_device

    device = choose_device(args.device)
    if not is_saved(args):
        return labeller_of_run(finished_run(args), device)
    found = read_saved(args.run, args.backbone, device)
    size = found.content["batch_size"]
    return Labeller(found.model, found.inp, found.as_seen, size, found.class_features)
