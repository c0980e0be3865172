"""What would be fetched, from where, how large; and the way by hand."""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fewshot_datasets.files import counted

from .catalogue import Entry, Remote
from .recognise import Found, find
from .state import Lacking, known_split, shortfall
from .tree import Tree

HEADERS = ("what", "from", "size", "sum", "note")


def plan(states: Iterable[tuple[Entry, Lacking]], trees: Sequence[Tree], root: Path) -> str:
    """What would be done: of each data set what lies in `trees`, and its sources in order."""
    from tabulate import tabulate

    blocks = []
    for entry, lacks in states:
        if not lacks or lacks.blocked:
            blocks.append(f"{entry.name}: {lacks.blocked or 'is there already'}")
            continue
        found = [find(tree, entry) for tree in trees]
        rows = list(_offered(entry, lacks, found, root)) + list(_tried(entry, lacks))
        blocks.append(f"{entry.name} ({terms(entry)})")
        table = tabulate(rows, HEADERS, tablefmt="plain", disable_numparse=True)
        blocks[-1] += "\n" + textwrap.indent(table, "  ")
    return "\n\n".join(blocks)


def _offered(
    entry: Entry, lacks: Lacking, found: Sequence[Found], root: Path
) -> Iterator[tuple[str, ...]]:
    """What a person has: each candidate, and what it lacks."""
    goal = root / entry.reader.dataset_dir
    around = [folder for one in found for folder in one.folders(entry)]
    split = known_split(entry.reader, goal, *around)
    for one in found:
        for part in entry.parts:
            for path in one.parts.get(part.goal, []) if part.goal in lacks.parts else []:
                fault = shortfall(part, [path, goal / part.goal], split, entry.reader)
                yield part.goal, str(path), "", "", f"cannot serve: {fault}" if fault else ""
        for document in lacks.documents:
            for path in one.documents.get(document.name, []):
                yield document.name, str(path), "", "", ""
        for path in one.archives:
            yield "archive", str(path), gigabytes(path.stat().st_size), "", ""
        for path, because in one.lookalikes if lacks.parts else []:
            yield "", str(path), "", "", f"cannot serve: {because}"


def _tried(entry: Entry, lacks: Lacking) -> Iterator[tuple[str, ...]]:
    """The sources of what is lacking, in the order in which they are tried."""
    tried = [(d.name, [(remote,) for remote in d.sources]) for d in lacks.documents]
    if lacks.parts:
        tried.append(("pictures", list(entry.ways or (entry.by_hand,))))
    for what, ways in tried:
        for number, way in enumerate(ways, start=1):
            for remote in way:
                rank = "by hand:" if remote in entry.by_hand else f"{number}."
                address = f"{rank} {remote.address}"
                yield what, address, size_of(remote), sum_of(entry, remote), remote.note
                what = ""


def terms(entry: Entry) -> str:
    """Where a data set's terms stand, and where one has to sign up."""
    return f"terms: {entry.page}" + (f"; sign up at {entry.sign_up}" if entry.sign_up else "")


def size_of(remote: Remote) -> str:
    """The size in words; "unknown" where it is not known."""
    if remote.size is not None:
        return gigabytes(remote.size)
    return "unknown" if remote.about is None else f"about {gigabytes(remote.about)}"


def sum_of(entry: Entry, remote: Remote) -> str:
    """Which sum is known of a file, or of the document that it is."""
    sums = list(remote.sums)
    for document in entry.documents:
        if remote in document.sources:
            sums = [key for key in ("sha256", "git_blob") if getattr(document, key)]
    return ", ".join(sums) or "unknown"


def gigabytes(size: int) -> str:
    """`626 MB`, `2.8 GB`: powers of ten, as disks are sold."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= power:
            return f"{size / power:.3g} {unit}"
    return f"{size} bytes"


def amount(entries: Sequence[tuple[Entry, Lacking]], root: Path) -> tuple[str, bool]:
    """How much is to fetch and what the disk has, as one line; and whether the disk has enough.

    Of each data set the first source counts. Unpacking takes about as much again.
    """
    lacking = [entry for entry, lacks in entries if lacks.parts]
    ways = [entry.ways[0] for entry in lacking if entry.ways]
    sizes = [_known_size(remote) for way in ways for remote in way]
    known = sum(size for size in sizes if size is not None)
    unknown = sum(size is None for size in sizes)
    existing = next(place for place in (root, *root.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    text = f"{counted(len(lacking), 'data set')}: about {gigabytes(known)} to fetch"
    text += f", and {counted(unknown, 'archive')} of unknown size" if unknown else ""
    text += f"; as much again unpacked; {existing} has {gigabytes(free)} free"
    return text, known < free


def _known_size(remote: Remote) -> int | None:
    return remote.about if remote.size is None else remote.size


def by_hand(entry: Entry, lacks: Lacking, root: Path) -> str:
    """What a person can do: which files to fetch and where each goes."""
    goal = root / entry.reader.dataset_dir
    lines = [f"{entry.name} by hand ({terms(entry)}). Fetch into a folder"]
    for document in lacks.documents:
        lines += _one_of(document.name, [(remote,) for remote in document.sources])
    if lacks.parts:
        lines += _one_of("the pictures", entry.ways or (entry.by_hand,))
    command = f"python -m fewshot_datasets.get {entry.name} --root {shlex.quote(str(root))}"
    lines.append(f"  then: {command} --from FOLDER")
    places = [str(goal / name) for name in (*lacks.parts, *(d.name for d in lacks.documents))]
    lines.append(f"  which makes of them: {', '.join(places)}")
    return "\n".join(lines)


def _one_of(what: str, ways: Sequence[Sequence[Remote]]) -> list[str]:
    lines = [f"  {what}, from {'one of' if len(ways) > 1 else ''}".rstrip()]
    for way in ways:
        addresses = [browsable(remote.address) for remote in way]
        lines += [f"    {'  and ' if i else ''}{address}" for i, address in enumerate(addresses)]
    return lines


def browsable(address: str) -> str:
    """The address for a browser, which does not know the hub's own."""
    hub = re.fullmatch(r"hf://((?:datasets/)?[^/]+/[^/@]+)(?:@([^/]+))?/(.+)", address)
    if not hub:
        return address
    return f"https://huggingface.co/{hub[1]}/resolve/{hub[2] or 'main'}/{hub[3]}"
