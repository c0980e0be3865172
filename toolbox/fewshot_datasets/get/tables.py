"""What would be fetched, from where, how large; and the way by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from fewshot_datasets.files import counted

from .catalogue import Entry, Remote
from .state import Lacking


def plan(entries: Iterable[tuple[Entry, Lacking]]) -> str:
    """The table of sources of what is lacking: each file, in the order in which it is tried."""
    from tabulate import tabulate

    headers = ("data set", "what", "from (the first that works)", "size", "sum", "remarks")
    rows: list[tuple[str, ...]] = []
    for entry, lacks in entries:
        if not lacks:
            rows.append((entry.name, "", "is there already", "", "", f"terms: {entry.page}"))
            continue
        first = (entry.name, f"terms: {entry.page}")
        for what, number, remote in _tried(entry, lacks):
            by_hand = remote in entry.by_hand
            remarks = [first[1], remote.note, f"by hand: {entry.sign_up}" if by_hand else ""]
            cells = (what, f"{number} {remote.address}", size_of(remote), sum_of(entry, remote))
            rows.append((first[0], *cells, "; ".join(filter(None, remarks))))
            first = ("", "")
    return tabulate(rows, headers, disable_numparse=True)


def _tried(entry: Entry, lacks: Lacking) -> Iterable[tuple[str, str, Remote]]:
    for document in lacks.documents:
        for number, remote in enumerate(document.sources, start=1):
            yield document.name, f"{number}.", remote
    if lacks.parts:
        for number, way in enumerate(entry.ways or (entry.by_hand,), start=1):
            for remote in way:
                yield "pictures", f"{number}.", remote


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
    ways = [entry.ways[0] for entry, lacks in entries if lacks.parts and entry.ways]
    sizes = [_known_size(remote) for way in ways for remote in way]
    known = sum(size for size in sizes if size is not None)
    unknown = sum(size is None for size in sizes)
    existing = next(place for place in (root, *root.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    text = f"{counted(len(entries), 'data set')}: about {gigabytes(known)} to fetch"
    text += f", and {counted(unknown, 'archive')} of unknown size" if unknown else ""
    text += f"; as much again unpacked; {existing} has {gigabytes(free)} free"
    return text, known < free


def _known_size(remote: Remote) -> int | None:
    return remote.about if remote.size is None else remote.size


def by_hand(entry: Entry, lacks: Lacking, root: Path) -> str:
    """What a person can do: which files to fetch and where each goes."""
    goal = root / entry.reader.dataset_dir
    lines = [f"{entry.name} by hand (terms: {entry.page}):"]
    for document in lacks.documents:
        lines += [f"  {remote.address}" for remote in document.sources]
        lines.append(f"    -> {goal / document.name}")
    if lacks.parts:
        for i, way in enumerate(entry.ways or (entry.by_hand,)):
            lines += [f"  {'or ' if i else ''}{remote.address}" for remote in way]
        places = ", ".join(str(goal / part) for part in lacks.parts)
        lines.append(f"    -> unpacked, as {places}")
    names = f"{entry.name} --root {root} --from FOLDER"
    lines.append(f"  or fetch them elsewhere: python -m fewshot_datasets.get {names}")
    return "\n".join(lines)
