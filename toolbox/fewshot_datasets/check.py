"""Check data sets before anything is trained on them.

    python -m fewshot_datasets.check [--root DATA] [--deep] [--shots 16] [names...]

prints a table of the data sets named (by config file or by reader; all published ones if none is)
and exits with 0 only if every one of them can be used. Nothing is written.

A problem is what the reader or a run would refuse; all else is a note and changes no exit status:
what was left out, classes with fewer images than shots, a base or new side of fewer than two
classes, a picture listed twice, and with `--deep` pictures that are the same byte for byte. Class
names that become one prompt and a picture in two splits are problems of one's own images and notes
on the fifteen published data sets, whose published splits are used as they are.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from fewshot_datasets import PUBLISHED, READERS, DatasetError, FewShotDataset
from fewshot_datasets.command_line import Parser, run
from fewshot_datasets.duplicates import class_faults, equal_files, picture_faults, repeated_paths
from fewshot_datasets.fewshot import halves
from fewshot_datasets.files import counted, is_file, named, printable
from fewshot_datasets.findings import Finding, table
from fewshot_datasets.splits import Split, group_by_label


def check(
    names: Sequence[str], root: str, deep: bool = False, shots: int | None = None
) -> list[Finding]:
    """Check the named data sets below `root`; with `deep`, decode every image.

    With `shots`, classes that have fewer images to train on are noted. Raises ValueError for a
    name that no reader has.
    """
    return [_check_one(name, root, deep, shots) for name in map(config_name, names)]


def config_name(name: str) -> str:
    """The config name for a config or reader name; raises ValueError with the nearest ones."""
    by_name = {reader.__name__.lower(): config for config, reader in READERS.items()}
    by_name |= {config: config for config in READERS}
    if name.lower() in by_name:
        return by_name[name.lower()]
    near = get_close_matches(name.lower(), by_name, n=1)
    guess = f" (do you mean {by_name[near[0]]}?)" if near else ""
    raise ValueError(f"no data set is called {name!r}{guess}; there are: {', '.join(READERS)}")


def _check_one(name: str, root: str, deep: bool, shots: int | None) -> Finding:
    reader = READERS[name]
    finding = Finding(name, os.path.join(root, reader.dataset_dir))
    said = StringIO()
    split = None
    try:
        directory = reader.directory(root)
        finding.found = directory.is_dir()
        if not finding.found:
            place = next(path for path in (directory, *directory.parents) if path.exists())
            if not place.is_dir():
                raise DatasetError(f"not a directory: {place}")
            finding.notes.append("its reader writes it when it is first used")
            return finding
        with redirect_stdout(said):
            split = reader.load_split(directory, write=False)
        _describe(finding, reader, directory, split, deep)
    except (DatasetError, OSError) as e:
        finding.problems.append(_bare(str(e), reader, root))
    finding.notes += [_bare(line, reader, root) for line in said.getvalue().splitlines()]
    sizes = reader.published_sizes
    if finding.images and sizes and finding.images != sizes and not finding.notes:
        finding.notes.append("not the published sizes, " + " / ".join(f"{n:,}" for n in sizes))
    if split:
        more = _remark(reader, split, shots, directory if deep else None)
        finding.notes += [text for text in more if text not in finding.notes]
    finding.problems = [printable(text) for text in finding.problems]
    finding.notes = [printable(text) for text in finding.notes]
    return finding


def _remark(
    reader: type[FewShotDataset], split: Split, shots: int | None, directory: Path | None
) -> list[str]:
    """What a reader accepts and a user should know; with `directory`, also of the files there."""
    listed = Split([], [], split.test) if reader.test_only else split
    notes = class_faults(split) + picture_faults(listed) + repeated_paths(listed)
    if directory:
        notes += equal_files(listed, reader.image_directory(directory))
    if not reader.published_sizes:  # which fix the number of classes too
        sides = [len(side) for side in halves({r.label for r in split.train})]
        if min(sides) < 2:
            base, new = (counted(n, "class", "classes") for n in sides)
            notes.append(f"base has {base}, new has {new}: a side of one class is no result")
    if shots and not reader.test_only:
        groups = group_by_label(split.train).values()
        few = [f"{g[0].classname} ({len(g)})" for g in groups if len(g) < shots]
        if few:
            classes = "1 class has" if len(few) == 1 else f"{len(few):,} classes have"
            notes.append(f"{classes} fewer than {shots} images to train on: {named(few)}")
    return notes


def _bare(message: str, reader: type[FewShotDataset], root: str) -> str:
    """A reader's message without what the table has in columns of its own."""
    hints = reader.hints(Path(os.path.abspath(os.path.expanduser(root))))
    for known in ("WARNING: ", f"{reader.__name__}: ", f". {hints}"):
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
    groups = group_by_label(split.train).values()
    finding.classes = len(groups)
    if not reader.test_only:
        finding.smallest = min((len(group), group[0].classname) for group in groups)
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
                    listings[folder] = {e.name for e in entries if is_file(e)}
            except (OSError, ValueError):  # of a name that no file can have
                listings[folder] = set()
        if file not in listings[folder]:
            missing.append(path)
    return missing


def broken_images(image_dir: str, paths: list[str], title: str, as_seen: bool = False) -> list[str]:
    """Decode every image as training would; `path (reason)` for each that cannot be."""
    from dassl.utils.images import image_fault
    from tqdm import tqdm

    def fault(path: str) -> str:
        full = os.path.join(image_dir, path)
        reason = image_fault(full, as_seen)
        return f"{full} ({reason})" if reason else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        progress = tqdm(pool.map(fault, paths), title, total=len(paths), disable=None)
        return [text for text in progress if text]


def _shots(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images, at least 1")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = Parser(
        prog="python -m fewshot_datasets.check", description="Check data sets for completeness."
    )
    parser.add_argument("names", nargs="*", help="data sets; default: all published ones")
    parser.add_argument(
        "--root", default=os.environ.get("DATA", "data"), help="data root (default: $DATA or data)"
    )
    parser.add_argument(
        "--deep", action="store_true", help="decode every image, and find those that are the same"
    )
    parser.add_argument(
        "--shots", type=_shots, help="name the classes with fewer images to train on"
    )
    args = parser.parse_args(argv)
    try:
        names = [config_name(name) for name in args.names] or list(PUBLISHED)
    except ValueError as e:
        parser.error(str(e))
    if os.path.exists(args.root) and not os.path.isdir(args.root):
        parser.error(f"--root {args.root} is a file, not a folder of data sets")
    findings = check(names, args.root, args.deep, args.shots)
    print(table(findings))
    unusable = [f.name for f in findings if not f.usable and f.name in PUBLISHED]
    if unusable:
        command = f"python -m fewshot_datasets.get {' '.join(unusable)}"
        print(f"Get what is missing: {command} --root {shlex.quote(args.root)}")
    return 0 if all(f.usable for f in findings) else 1


if __name__ == "__main__":
    sys.exit(run(main))
