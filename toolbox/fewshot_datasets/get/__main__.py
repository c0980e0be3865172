"""Get data sets: python -m fewshot_datasets.get [NAMES...] [--root DATA]

Each is fetched from the first source that works, or placed from what lies in `--from PATH`, checked
against the published lists, and put where its reader wants it. What is there already is not fetched
again, and a call that was interrupted goes on where it stopped. The exit status is 0 only if every
data set is complete.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from fewshot_datasets import PUBLISHED, DatasetError
from fewshot_datasets.check import check, config_name
from fewshot_datasets.command_line import Parser, run
from fewshot_datasets.files import say
from fewshot_datasets.findings import table

from .catalogue import Entry, Remote, load_catalogue
from .ending import in_one_line
from .errors import GetError
from .getting import Getting, Outcome, Wishes
from .network import probe, reachable
from .recognise import find
from .state import Lacking, lacking
from .tables import amount, by_hand, plan
from .tree import Tree


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status, or exits with that of a signal."""
    with in_one_line():
        parser = _parser()
        args = parser.parse_args(argv)
        try:
            return _run(args)
        except (DatasetError, ValueError) as e:
            parser.error(str(e))


def _parser() -> Parser:
    parser = Parser(
        prog="python -m fewshot_datasets.get",
        description="Fetch published data sets, or place what is at hand, checked and complete.",
    )
    add = parser.add_argument
    add("names", nargs="*", help="data sets; default: all published ones, or all in --from")
    add("--root", default=os.environ.get("DATA", "data"), help="data root (default: $DATA or data)")
    add(
        "--from",
        dest="places",
        metavar="PATH",
        action="append",
        default=[],
        help="a folder or an archive that has (some of) them already; may be repeated",
    )
    add(
        "--link",
        choices=("hard", "symbolic", "copy"),
        default="hard",
        help="how what lies in --from gets into the data root (default: hard)",
    )
    add(
        "--source",
        dest="given",
        metavar="[NAME=]ADDRESS_OR_FILE",
        action="append",
        default=[],
        help="fetch the pictures from here instead; may be repeated",
    )
    add("--sources", metavar="FILE", help="more addresses, in the form of sources.yaml")
    add("--offline", action="store_true", help="ask no address")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add("--probe", action="store_true", help="ask each address for its size, and do nothing else")
    return parser


def _run(args: argparse.Namespace) -> int:
    root = Path(os.path.abspath(os.path.expanduser(args.root)))
    if root.exists() and not root.is_dir():
        raise DatasetError(f"--root {args.root} is a file, not a folder of data sets")
    catalogue = load_catalogue(Path(args.sources) if args.sources else None)
    names = [_published(name) for name in args.names] or list(PUBLISHED)
    trees = tuple(Tree.of_folder(_existing(place)) for place in args.places)
    given = _given(args.given, names if args.names else [])
    if trees and not args.names:
        names = [name for name in names if any(find(tree, catalogue[name]) for tree in trees)]
        if not names:
            raise DatasetError(f"--from {', '.join(args.places)}: no data set was recognised there")
    entries = [catalogue[name] for name in dict.fromkeys(names)]
    if args.probe:
        print(_probed(entries))
        return 0
    states = [(e, lacking(e, root / e.reader.dataset_dir)) for e in entries]
    if args.dry_run:
        print(plan(states, trees, root))
        return 0
    text, enough = amount(states, root)
    if any(lacks.parts for _, lacks in states) and not trees:
        say(text)
    if not (enough or trees):
        raise DatasetError("that is more than the disk has free; name fewer data sets")
    online = (lambda: False) if args.offline else _asked_once(entries)
    wishes = Wishes(root, trees, args.link, (), online)
    outcomes = [_get(e, replace(wishes, sources=given.get(e.name, ()))) for e in entries]
    return _conclude(outcomes, root)


def _published(name: str) -> str:
    config = config_name(name)
    if config not in PUBLISHED:
        raise ValueError(f"{config} is not fetched; there are: {', '.join(PUBLISHED)}")
    return config


def _existing(place: str) -> Path:
    path = Path(os.path.abspath(os.path.expanduser(place)))
    if not path.exists():
        raise DatasetError(f"--from {place}: there is no such file or folder")
    return path


def _given(texts: Sequence[str], names: Sequence[str]) -> dict[str, tuple[Remote, ...]]:
    """The addresses of `--source`, by data set."""
    given: dict[str, tuple[Remote, ...]] = {}
    for text in texts:
        name, equals, address = text.partition("=")
        if not equals or name not in PUBLISHED:
            name, address = names[0] if len(names) == 1 else "", text
        if name not in names:
            raise ValueError(
                f"--source {text}: of which data set? Name one ({text} is then its source), "
                "or write NAME=ADDRESS for each of several"
            )
        given[name] = (*given.get(name, ()), Remote(address))
    return given


def _asked_once(entries: Sequence[Entry]) -> Callable[[], bool]:
    """Whether there is a network, found out when it is first asked for."""
    addresses = [
        remote.address
        for entry in entries
        for way in (*entry.ways, *(document.sources for document in entry.documents))
        for remote in way
    ]

    @cache
    def online() -> bool:
        answered = reachable(addresses)
        if not answered:
            say("no network: none of the addresses' hosts answers")
        return answered

    return online


def _get(entry: Entry, wishes: Wishes) -> Outcome:
    try:
        return Getting(entry, wishes).run()
    except GetError as e:
        say(str(e))
        return Outcome(entry, Lacking(blocked=str(e)))


def _conclude(outcomes: Sequence[Outcome], root: Path) -> int:
    findings = check([outcome.entry.name for outcome in outcomes], str(root))
    print(table(findings))
    for outcome in outcomes:
        if outcome.lacks:
            say(f"{outcome.entry.name} is not complete: {outcome.lacks}")
            if not outcome.lacks.blocked:
                print(by_hand(outcome.entry, outcome.lacks, root))
    return 0 if all(f.usable for f in findings) and not any(o.lacks for o in outcomes) else 1


def _probed(entries: Sequence[Entry]) -> str:
    from tabulate import tabulate

    remotes = {
        remote: (entry.name, remote.address)
        for entry in entries
        for way in (*(d.sources for d in entry.documents), *entry.ways, entry.by_hand)
        for remote in way
    }
    rows = [
        (*remotes[remote], answer)
        for remote, answer in zip(remotes, probe(list(remotes)), strict=True)
    ]
    return tabulate(rows, ("data set", "address", "answer"), disable_numparse=True)


if __name__ == "__main__":
    sys.exit(run(main))
