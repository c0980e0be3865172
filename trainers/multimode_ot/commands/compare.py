"""The table that compares methods, from the `results.json` files below a folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import Parser
from ..methods import find_method, method_names
from ..results import published
from ..results.comparability import require_comparable, require_one_training
from ..results.grid import paired_differences
from ..results.protocol_tables import MAKERS, make_grid, rows_of
from ..results.render import MARKS, render, with_differences, with_published
from ..results.tree import AVERAGE, DOMAINS, choose, collect


def trains(method: str) -> bool:
    """Whether a method trains anything; False of one that is not known."""
    return method in method_names() and bool(find_method(method).trains)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    parser = Parser(prog="multimode-ot compare", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("output", type=Path, help="folder of runs; a narrower one restricts the table")
    add("--protocol", choices=MAKERS, default="base2new")
    add("--format", choices=[*MARKS, "csv", "json"], default="table")
    add("--interval", choices=["std", "ci95"], default="std")
    add("--methods", nargs="+", default=[], help="only these, in this order")
    add("--datasets", nargs="+", default=[], help="only these (DATASET.NAME)")
    add("--seeds", nargs="+", type=int, default=[], help="only these")
    add("--shots", nargs="+", type=int, default=[], help="only training with so many (0: all)")
    add("--source", help="of transfers only those from this data set (imagenet, ...)")
    add("--paired", nargs=2, metavar="METHOD", help="compare two methods run by run")
    add("--published", action="store_true", help="add published averages as reference rows")
    add("--mix", action="store_true", help="allow different configurations in one table")
    return parser.parse_args(arguments)


def table(
    arguments: Sequence[str] | None = None,
    known_datasets: Iterable[str] = (),
    known_rows: Iterable[str] = (),
) -> str:
    """The command's output for its arguments.

    Args:
        known_datasets: names (DATASET.NAME) that may be asked for although no run has them,
            besides those of published tables; their cells are missing.
        known_rows: likewise, besides the methods.

    Raises:
        ValueError, OSError: wrong arguments, no results, unreadable ones, two for one cell, or
            mixed configurations.
    """
    args = parse_arguments(arguments)
    usual = DOMAINS if args.protocol == "domain" else set(published.PLOTPP) - {AVERAGE}
    results = choose(
        collect(args.output, args.protocol, trains),
        args.methods,
        args.datasets,
        args.seeds,
        args.shots,
        args.source,
        {*usual, *known_datasets},
        {*method_names(), *known_rows},
    )
    if not results:
        raise ValueError(f"no result below {args.output} is left by the options that choose some")
    if not args.mix:
        require_comparable(results)
    require_one_training(results, args.protocol, by_method=args.mix)
    grid = make_grid(results, args.protocol, args.datasets)
    if args.methods:
        grid = replace(grid, methods=rows_of(args.methods, grid))
    shown = with_published(grid, args.protocol) if args.published else grid
    text = render(shown, args.format, args.interval)
    if args.paired:
        found = paired_differences(grid, *args.paired)
        text = with_differences(text, args.format, args.paired, found)
    return text


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    print(table(arguments))
