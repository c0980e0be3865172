"""Check data sets before anything is trained on them.

    python -m fewshot_datasets.check [--root DATA] [--deep] [names...]

prints a table of the data sets named (by config file or by reader; all published ones if none is)
and exits with 0 only if every one of them can be used. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dassl.utils.images import image_fault
from tabulate import tabulate
from tqdm import tqdm

from fewshot_datasets import PUBLISHED, READERS, DatasetError, FewShotDataset
from fewshot_datasets.splits import Split

LAYOUT = "layout: python -m pydoc ..."
MAX_SHOWN = 10  # problems of one data set in the table


@dataclass
class Finding:
    """What is known of one data set after a check."""

    name: str  # of the config file
    directory: str
    found: bool = False
    images: tuple[int, int, int] | None = None  # train, val, test
    classes: int | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{self.name}: {text}" for text in self.problems + self.notes]
        if not self.usable:
            lines.append(f"{self.name}: {READERS[self.name].layout_hint()}")
        return "\n".join(lines)


def check(names: Sequence[str], root: str, deep: bool = False) -> list[Finding]:
    """Check the named data sets below `root`; with `deep`, decode every image.

    Raises ValueError for a name that no reader has.
    """
    return [_check_one(name, root, deep) for name in map(config_name, names)]


def config_name(name: str) -> str:
    """The config name for a config or reader name; raises ValueError with the nearest ones."""
    by_name = {reader.__name__.lower(): config for config, reader in READERS.items()}
    by_name |= {config: config for config in READERS}
    if name.lower() in by_name:
        return by_name[name.lower()]
    near = get_close_matches(name.lower(), by_name, n=1)
    guess = f" (do you mean {by_name[near[0]]}?)" if near else ""
    raise ValueError(f"no data set is called {name!r}{guess}; there are: {', '.join(READERS)}")


def _check_one(name: str, root: str, deep: bool) -> Finding:
    reader = READERS[name]
    finding = Finding(name, os.path.join(root, reader.dataset_dir))
    said = StringIO()
    try:
        directory = reader.directory(root)
        finding.found = directory.is_dir()
        if not finding.found:
            finding.notes.append("its reader writes it when it is first used")
            return finding
        with redirect_stdout(said):
            split = reader.load_split(directory, write=False)
        _describe(finding, reader, directory, split, deep)
    except (DatasetError, OSError) as e:
        finding.problems.append(_bare(str(e), reader))
    finding.notes += [_bare(line, reader) for line in said.getvalue().splitlines()]
    sizes = reader.published_sizes
    if finding.images and sizes and finding.images != sizes and not finding.notes:
        finding.notes.append("not the published sizes, " + " / ".join(f"{n:,}" for n in sizes))
    return finding


def _bare(message: str, reader: type[FewShotDataset]) -> str:
    """A reader's message without what the table has in columns of its own."""
    for known in ("WARNING: ", f"{reader.__name__}: ", f". {reader.layout_hint()}"):
        message = message.replace(known, "")
    return message


def _describe(
    finding: Finding, reader: type[FewShotDataset], directory: Path, split: Split, deep: bool
) -> None:
    finding.images = (
        0 if reader.test_only else len(split.train),
        len(split.test if reader.val_is_test else split.val),
        len(split.test),
    )
    finding.classes = len({r.label for r in split.train})
    image_dir = reader.image_directory(directory)
    for key in Split._fields[2:] if reader.test_only else Split._fields:
        paths = [r.path for r in getattr(split, key)]
        missing = missing_files(image_dir, paths)
        if missing and reader.made_on_demand:
            finding.notes.append(f"its reader writes {len(missing):,} images when it is next used")
        elif missing:
            others = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            finding.problems.append(
                f"missing image {image_dir}/{missing[0]}, listed in '{key}'{others}"
            )
        elif deep:
            broken = broken_images(image_dir, paths, f"{finding.name} {key}", reader.as_seen)
            finding.problems += [f"broken image {text}" for text in broken]


def missing_files(image_dir: str, paths: Iterable[str]) -> list[str]:
    """The paths that name no file below `image_dir`, found by listing each folder once."""
    listings: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        folder, _, file = path.rpartition("/")
        if folder not in listings:
            try:
                with os.scandir(os.path.join(image_dir, folder)) as entries:
                    listings[folder] = {e.name for e in entries if e.is_file()}
            except OSError:
                listings[folder] = set()
        if file not in listings[folder]:
            missing.append(path)
    return missing


def broken_images(image_dir: str, paths: list[str], title: str, as_seen: bool = False) -> list[str]:
    """Decode every image as training would; `path (reason)` for each that cannot be."""

    def fault(path: str) -> str:
        full = os.path.join(image_dir, path)
        reason = image_fault(full, as_seen)
        return f"{full} ({reason})" if reason else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        progress = tqdm(pool.map(fault, paths), title, total=len(paths), disable=None)
        return [text for text in progress if text]


def table(findings: Sequence[Finding]) -> str:
    """The findings as text; the remarks are problems, then notes."""
    headers = ("data set", "found", "usable", *Split._fields, "classes", "remarks", LAYOUT)
    rows = [
        (
            f.name,
            _yes(f.found),
            _yes(f.usable),
            *([f"{n:,}" for n in f.images] if f.images else [""] * 3),
            "" if f.classes is None else f"{f.classes:,}",
            "\n".join(_wrap(text) for text in _remarks(f)),
            READERS[f.name].__module__,
        )
        for f in findings
    ]
    align = ("left", "left", "left", "right", "right", "right", "right", "left", "left")
    return tabulate(rows, headers, colalign=align, disable_numparse=True)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _remarks(finding: Finding) -> list[str]:
    shown, hidden = finding.problems[:MAX_SHOWN], finding.problems[MAX_SHOWN:]
    return shown + ([f"... and {len(hidden):,} more"] if hidden else []) + finding.notes


def _wrap(text: str) -> str:
    # Paths stay whole, so that they can be copied.
    return textwrap.fill(text, 60, break_long_words=False, break_on_hyphens=False)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m fewshot_datasets.check", description="Check data sets for completeness."
    )
    parser.add_argument("names", nargs="*", help="data sets; default: all published ones")
    parser.add_argument(
        "--root", default=os.environ.get("DATA", "data"), help="data root (default: $DATA or data)"
    )
    parser.add_argument("--deep", action="store_true", help="decode every image")
    args = parser.parse_args(argv)
    try:
        findings = check(args.names or list(PUBLISHED), args.root, args.deep)
    except ValueError as e:
        parser.error(str(e))
    print(table(findings))
    return 0 if all(f.usable for f in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
