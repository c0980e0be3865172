"""What a finished run has learned: plans and maps over images, nearest words, diversity of its
modes; pictures, a page, and all numbers in one JSON file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import Parser
from ..methods import add_method_file
from ..results.extras import require_extras
from ..results.finished import results_of_run


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    text = " ".join((__doc__ or "").split())
    parser = Parser(prog="multimode-ot explain", description=text)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a finished run")
    add("--images", nargs="+", type=Path, default=[], metavar="FILE", help="explain these pictures")
    add("--split", help="else images of this split: the one that the run was tested on")
    add("--count", type=int, default=8, help="test images (8), half of them wrongly predicted")
    add("--seed", type=int, default=1, help="for the choice of test images (1)")
    add(
        "--classes",
        nargs="+",
        default=[],
        metavar="NAME",
        help="classes to explain; else the predicted and the true one of each image",
    )
    add("--out", type=Path, metavar="DIR", help="folder to write (RUN/explain)")
    add("--root", metavar="DIR", help="the data root, if it is elsewhere now")
    add("--backbone", metavar="NAME", help="the backbone's name or file, likewise")
    add("--checkpoint", metavar="FILE", help="the weights' file, likewise")
    add("--method-file", action="append", default=[], help="a file with a method of your own")
    args = parser.parse_args(arguments)
    if args.images and args.split:
        parser.error("--images and --split: name files, or a split")
    return args


def main(arguments: Sequence[str]) -> None:
    """Write the explanation, and say where it is."""
    args = parse_arguments(arguments)
    for path in args.method_file:
        add_method_file(path)
    results_of_run(args.run)
    for path in args.images:
        if not path.is_file():
            raise FileNotFoundError(f"--images {path}: there is no such file")
    require_extras("multimode-ot explain", "jinja2", "matplotlib")
    from ..explain.explanation import Asked, explain
    from ..training.finished import FinishedRun

    run = FinishedRun(args.run, args.backbone, args.root, args.checkpoint)
    asked = Asked(args.images, args.split, args.count, args.classes, args.seed)
    page = explain(run, asked, args.out or args.run / "explain")
    print(f"Explanation written to {page}")
