"""Get data sets: python -m fewshot_datasets.get [NAMES...] [--root DATA]

Each is fetched from the first source that works, or placed from what lies in `--from PATH`, checked
against the published lists, and put where its reader wants it. What is there already is not fetched
again, and a call that was interrupted goes on where it stopped. The exit status is 0 only if every
data set is complete.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from fewshot_datasets import PUBLISHED, READERS, DatasetError
from fewshot_datasets.check import check, config_name
from fewshot_datasets.command_line import Parser, run
from fewshot_datasets.files import say
from fewshot_datasets.findings import table

from .catalogue import Entry, Remote, load_catalogue
from .ending import in_one_line
from .errors import GetError
from .getting import Getting, Wishes
from .network import probe, reachable
from .recognise import Found, find, join
from .state import Lacking, lacking
from .tables import Task, amount, by_hand, plan
from .tree import Tree


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status, or exits with that of a signal."""
    with in_one_line():
        parser = _parser()
        args = parser.parse_args(argv)
        try:
            return _run(args)
        except DatasetError as e:
            parser.exit(2, f"error: {e}\n")
        except ValueError as e:
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
    names = list(dict.fromkeys(map(_published, args.names))) or list(PUBLISHED)
    given = _given(args.given, names if args.names else [])
    if args.probe:
        print(_probed([catalogue[name] for name in names]))
        return 0
    found = _found(args.places, [catalogue[name] for name in names])
    if args.places and not args.names:
        names = [name for name in names if found[name]]
        if not names:
            raise DatasetError(f"--from {', '.join(args.places)}: no data set was recognised there")
    tasks = [_task(catalogue[n], root, found[n], given.get(n, ())) for n in names]
    lines, enough = amount(tasks, root) if args.dry_run or not args.offline else ([], True)
    for line in lines:
        say(line)
    if args.dry_run:
        print(plan(tasks))
        return 0
    if not enough:
        return 1
    online = (lambda: False) if args.offline else _asked_once([task.entry for task in tasks])
    left = [
        _get(task.entry, Wishes(root, task.found, args.link, task.given, online)) for task in tasks
    ]
    return _conclude(tasks, left, args, root)


def _published(name: str) -> str:
    config = config_name(name, PUBLISHED | {"digits": "", "image_folder": ""})
    if config not in PUBLISHED:
        made = READERS[config].made_on_demand
        what = "its reader writes it" if made else "it is your own images"
        raise ValueError(f"{config} is not fetched: {what}")
    return config


def _found(places: Sequence[str], entries: Sequence[Entry]) -> dict[str, Found]:
    """What lies in `--from`, by data set; what could not be looked at there is said."""
    trees = [Tree.of_folder(_existing(place)) for place in places]
    found = {entry.name: join(find(tree, entry) for tree in trees) for entry in entries}
    for tree in trees:
        for note in tree.notes:
            say(note)
    return found


def _task(entry: Entry, root: Path, found: Found, given: tuple[Remote, ...]) -> Task:
    goal = root / entry.reader.dataset_dir
    return Task(entry, goal, lacking(entry, goal), found, given)


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


def _get(entry: Entry, wishes: Wishes) -> Lacking:
    try:
        return Getting(entry, wishes).run()
    except GetError as e:
        return Lacking(blocked=str(e))


def _conclude(
    tasks: Sequence[Task], left: Sequence[Lacking], args: argparse.Namespace, root: Path
) -> int:
    findings = check([task.entry.name for task in tasks], str(root))
    print(table(findings))
    to_fetch = []
    for task, lacks in zip(tasks, left, strict=True):
        if lacks:
            say(f"{task.entry.name} is not complete: {lacks}")
            if not lacks.blocked:
                print(by_hand(task.entry, lacks, task.goal))
                to_fetch.append(task.entry.name)
    if to_fetch:
        more = ["--sources", args.sources] if args.sources else []
        words = [*to_fetch, "--root", str(root), *more, "--from", "FOLDER"]
        command = f"python -m fewshot_datasets.get {shlex.join(words)}"
        print(f"By hand: fetch what is listed into a folder, then {command}")
    return 0 if all(f.usable for f in findings) and not any(left) else 1


def _probed(entries: Sequence[Entry]) -> str:
    from tabulate import tabulate

    remotes = {
        remote: entry.name
        for entry in entries
        for way in (*(d.sources for d in entry.documents), *entry.ways, entry.by_hand)
        for remote in way
    }
    rows = [
        (remotes[remote], answer, remote.address)
        for remote, answer in zip(remotes, probe(list(remotes)), strict=True)
    ]
    return tabulate(rows, ("data set", "answer", "address"), disable_numparse=True)


if __name__ == "__main__":
    sys.exit(run(main))
