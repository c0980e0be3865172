"""Check data sets before anything is trained on them.

    python -m fewshot_datasets.check [--root DATA] [--deep] [names...]

prints a table of the data sets named (by config file or by reader; all published ones if none is)
and exits with 0 only if every one of them can be used. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from PIL import Image
from tabulate import tabulate
from tqdm import tqdm

from fewshot_datasets import PUBLISHED, READERS, DatasetError, FewShotDataset
from fewshot_datasets.splits import Split


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
        return "\n".join([f"{self.name}: {text}" for text in self.problems + self.notes])


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
    try:
        directory = reader.directory(root)
        finding.found = directory.is_dir()
        if not finding.found:
            finding.notes.append("written by its reader when it is first used")
            return finding
        with redirect_stdout(StringIO()):  # what the reader announces is in the notes below
            split = reader.load_split(directory, write=False)
        _describe(finding, reader, directory, split, deep)
    except (DatasetError, OSError) as e:
        finding.problems.append(str(e).removeprefix(f"{reader.__name__}: "))
    return finding


def _describe(
    finding: Finding, reader: type[FewShotDataset], directory: Path, split: Split, deep: bool
) -> None:
    sizes = (0 if reader.test_only else len(split.train), len(split.val), len(split.test))
    finding.images = sizes
    finding.classes = len({r.label for r in split.train})
    note = reader.rebuilt_note(directory)
    if note:
        finding.notes.append(note)
    elif reader.published_sizes and sizes != reader.published_sizes:
        published = " / ".join(f"{n:,}" for n in reader.published_sizes)
        finding.notes.append(f"not the published sizes, {published}")

    image_dir = reader.image_directory(directory)
    lists = {key: [r.path for r in getattr(split, key)] for key in Split._fields}
    if reader.test_only:
        del lists["train"]
    for key, paths in lists.items():
        missing = missing_files(image_dir, paths)
        if missing:
            finding.problems.append(
                f"missing image {image_dir}/{missing[0]}, listed in '{key}'" + _others(missing)
            )
        elif deep:
            broken = broken_images(image_dir, paths, f"{finding.name} {key}")
            finding.problems += [f"broken image {text}" for text in broken]


def _others(found: list[str]) -> str:
    return f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""


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


def broken_images(image_dir: str, paths: list[str], title: str) -> list[str]:
    """Decode every image; `path (reason)` for each that cannot be."""

    def fault(path: str) -> str | None:
        full = os.path.join(image_dir, path)
        try:
            with Image.open(full) as image:
                image.convert("RGB")
        except Exception as e:  # decoders raise many types; any of them means: not usable
            return f"{full} ({type(e).__name__}: {e})"
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        progress = tqdm(pool.map(fault, paths), title, total=len(paths), disable=None)
        return [text for text in progress if text]


def table(findings: Sequence[Finding]) -> str:
    """The findings as text; problems come before notes."""
    rows = [
        (
            f.name,
            ("usable" if f.usable else "not usable") if f.found else ("no", "-")[f.usable],
            *(f"{n:,}" for n in f.images or ()),
            *([""] * (0 if f.images else 3)),
            "" if f.classes is None else f.classes,
            "\n".join([*f.problems[:10], *_hidden(f.problems[10:]), *f.notes]),
            f"python -m pydoc {READERS[f.name].__module__}",
        )
        for f in findings
    ]
    headers = ("data set", "found", "train", "val", "test", "classes", "remarks", "layout")
    return tabulate(rows, headers, maxcolwidths=[None] * 6 + [60, None], disable_numparse=True)


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
