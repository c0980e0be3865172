"""The table that compares methods, from the `results.json` files below a folder."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Setting, Settings
from ..errors import Parser
from ..methods import find_method, method_names
from ..results.appendix import with_differences, with_verdicts
from ..results.comparability import require_comparable, require_one_training
from ..results.grid import Grid, paired_differences
from ..results.image_pairs import compare_images
from ..results.measures import MEASURES, with_measures
from ..results.protocol_tables import MAKERS, make_grid, rows_of
from ..results.published import published_rows, usual_datasets
from ..results.published_configs import PublishedConfigs
from ..results.published_fit import with_published
from ..results.render import MARKS, render
from ..results.tree import choose, collect
from ..results.verdict import verdicts

# Where the published configs are: here, if this is a checkout, else beside the package.
CONFIGS = (Path("configs"), Path(__file__).resolve().parents[3] / "configs")


def trains(method: str) -> bool:
    """Whether a method trains anything; False of one that is not known."""
    return method in method_names() and bool(find_method(method).trains)


def in_stages(method: str) -> bool:
    """Whether a method is trained in several runs."""
    return bool(find_method(method).stages)


def settings_of(method: str) -> dict[str, Any]:
    """A method's settings and their defaults, by their full keys."""
    found: dict[str, Any] = {}
    parts: list[tuple[str, Settings]] = [
        (f"TRAINER.{method.upper()}.", find_method(method).all_settings())
    ]
    for prefix, settings in parts:
        for key, setting in settings.items():
            if isinstance(setting, Setting):
                found[prefix + key] = setting.default
            else:
                parts.append((f"{prefix}{key}.", setting))
    return found


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options; `ValueError` for wrong ones."""
    parser = Parser(prog="multimode-ot compare", description=(__doc__ or "").splitlines()[0])
    add_choices(parser)
    add = parser.add_argument
    add("--format", choices=[*MARKS, "csv", "json"], default="table")
    add(
        "--columns",
        nargs="+",
        default=[],
        choices=MEASURES,
        metavar="MEASURE",
        help=f"show these besides accuracy: {', '.join(MEASURES)}",
    )
    add(
        "--paired",
        nargs=2,
        metavar="METHOD",
        help="compare two rows run by run, and image by image where there is predictions.csv",
    )
    add("--published", action="store_true", help="add published numbers, each below its method's")
    add(
        "--verdict",
        action="store_true",
        help="add published numbers, and say where ours agree with them, where the settings do",
    )
    add(
        "--configs",
        type=Path,
        default=next(filter(Path.is_dir, CONFIGS), CONFIGS[0]),
        help="folder of the published configs, which --verdict holds runs against",
    )
    return parser.parse_args(arguments)


def add_choices(parser: Parser, protocol: str | None = "base2new") -> None:
    """The options that choose what is compared.

    Args:
        protocol: the default one.
    """
    add = parser.add_argument
    add("output", type=Path, help="folder of runs; a narrower one restricts the table")
    add("--protocol", choices=MAKERS, default=protocol)
    add("--interval", choices=["std", "ci95"], default="std")
    add("--methods", nargs="+", default=[], help="only these, in this order")
    add("--datasets", nargs="+", default=[], help="only these (DATASET.NAME)")
    add("--seeds", nargs="+", type=int, default=[], help="only these")
    add("--shots", nargs="+", type=int, default=[], help="only training with so many (0: all)")
    add("--source", help="of transfers only those from this data set (imagenet, ...)")
    add("--mix", action="store_true", help="allow different configurations in one table")


def table(
    arguments: Sequence[str] | None = None,
    known_datasets: Iterable[str] = (),
    known_rows: Iterable[str] = (),
    only: Container[Path] | None = None,
) -> str:
    """The command's output for its arguments.

    Args:
        known_datasets: names (DATASET.NAME) that may be asked for although no run has them,
            besides those of published tables; their cells are missing.
        known_rows: likewise, besides the methods.
        only: folders whose results it is made of; None: all below the one that is named.

    Raises:
        ValueError, OSError: wrong arguments, no results, unreadable ones, two for one cell, or
            mixed configurations.
    """
    args = parse_arguments(arguments)
    protocol, beside = args.protocol, args.published or args.verdict
    elsewhere = {name for row in published_rows(protocol) for name in (row.method, row.our_name)}
    also = elsewhere if beside else ()
    results, grid = chosen(args, known_datasets, known_rows, also, only)
    shown = with_measures(grid, protocol, results, args.columns)
    if beside:
        shown = with_published(shown, protocol, results, args.methods)
    text = render(shown, args.format, args.interval)
    if args.verdict:
        configs = PublishedConfigs(args.configs, settings_of, in_stages)
        judged = verdicts(shown, protocol, results, lambda r: configs.unlike(r, protocol))
        text = with_verdicts(text, args.format, args.interval, shown, judged)
    if args.paired:
        runs = paired_differences(grid, *args.paired)
        images = compare_images(grid, protocol, results, args.paired)
        text = with_differences(text, args.format, args.paired, runs, *images)
    return text


def chosen(
    args: argparse.Namespace,
    known_datasets: Iterable[str] = (),
    known_rows: Iterable[str] = (),
    elsewhere: Iterable[str] = (),
    only: Container[Path] | None = None,
) -> tuple[list[dict[str, Any]], Grid]:
    """The results that the options of `add_choices` leave, and their grid.

    Args:
        known_datasets, known_rows, only: as `table` has them.
        elsewhere: methods that may be asked for, but have no row.

    Raises:
        ValueError, OSError: as `table`.
    """
    protocol = args.protocol
    results = choose(
        [r for r in collect(args.output, protocol, trains) if _is_of(r, only)],
        args.methods,
        args.datasets,
        args.seeds,
        args.shots,
        args.source,
        {*usual_datasets("domain" if protocol == "domain" else "base2new"), *known_datasets},
        {*method_names(), *known_rows, *elsewhere},
    )
    if not results:
        raise ValueError(f"no result below {args.output} is left by the options that choose some")
    if not args.mix:
        require_comparable(results)
    require_one_training(results, protocol, by_method=args.mix)
    grid = make_grid(results, protocol, args.datasets)
    if args.methods:
        rows = rows_of(args.methods, grid)
        ours = {*method_names(), *known_rows, *grid.methods}
        grid = replace(grid, methods=[row for row in rows if row in ours])
    return results, grid


def _is_of(result: Mapping[str, Any], folders: Container[Path] | None) -> bool:
    return folders is None or Path(result["path"]).parent in folders


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    print(table(arguments))
