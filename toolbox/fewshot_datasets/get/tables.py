"""What is fetched from where and how large it is, and the way by hand: in lines for a person."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot_datasets.files import counted

from . import hub
from .catalogue import Document, Entry, Remote
from .errors import SourceError
from .fetch import file_name, transport
from .progress import shown_size
from .published import verify
from .recognise import Found
from .state import Lacking, known_split, shortfall
from .workshop import Workshop


@dataclass(frozen=True)
class Task:
    """What is known of one data set before anything is done."""

    entry: Entry
    goal: Path  # its directory
    lacks: Lacking
    found: Found  # of what a person already has
    given: tuple[Remote, ...] = ()  # in place of the catalogue's sources

    @property
    def ways(self) -> tuple[tuple[Remote, ...], ...]:
        """What brings the pictures that are lacking, in the order in which it is tried."""
        ways = (self.given,) if self.given else self.entry.ways
        return tuple(self.lacks.needs(way) for way in ways)

    @property
    def is_to_be_fetched(self) -> bool:
        at_hand = self.found.pictures or self.found.to_sort or self.found.archives
        return bool(self.lacks.parts) and not self.lacks.blocked and not at_hand


def plan(tasks: Iterable[Task]) -> str:
    """What would be done: of each data set what lies at hand, and its sources in their order."""
    blocks = []
    for task in tasks:
        lacks = task.lacks
        if not lacks or lacks.blocked:
            blocks.append(f"{task.entry.name}: {lacks.blocked or 'is there already'}")
            continue
        lines = [f"{task.entry.name} ({terms(task.entry)})"]
        for what, rows in _steps(task):
            lines += [f"  {what}", *(f"    {row}" for row in rows)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _steps(task: Task) -> Iterator[tuple[str, list[str]]]:
    at_hand = list(_at_hand(task))
    if at_hand:
        yield "in --from, tried before all else", at_hand
    entry, lacks = task.entry, task.lacks
    tried: list[tuple[str, Sequence[Sequence[Remote]]]]
    tried = [(d.name, [(remote,) for remote in d.sources]) for d in lacks.documents]
    if lacks.parts:
        tried.append(("pictures", task.ways or [lacks.needs(entry.by_hand)]))
    for what, ways in tried:
        rows = []
        for number, way in enumerate(ways, start=1):
            for remote in way:
                rank = "by hand" if remote in entry.by_hand else f"{number}."
                rows.append(_row(rank, size_of(remote), sum_of(entry, remote), _noted(remote)))
        yield f"{what}: the first that works of these" if len(ways) > 1 else what, rows


def _row(rank: str, size: str, checksum: str, text: str) -> str:
    """One source; its address is last, so that a narrow terminal breaks nothing else."""
    return f"{rank:<7}  {size:<13}  {checksum:<8}  {text}"


def _noted(remote: Remote, address: str = "") -> str:
    return f"{address or remote.address}{f' ({remote.note})' if remote.note else ''}"


def _at_hand(task: Task) -> Iterator[str]:
    """Each candidate that a person has, and why it cannot serve."""
    entry, lacks, found = task.entry, task.lacks, task.found
    split = known_split(entry.reader, task.goal, *found.folders(entry))
    for document in lacks.documents:
        for path in found.documents.get(document.name, []):
            yield _judged(path, _difference(path, document))
    for part in entry.parts:
        for path in found.parts.get(part.goal, []) if part.goal in lacks.parts else []:
            layers = [path, task.goal / part.goal]
            yield _judged(path, shortfall(part, layers, split, entry.reader))
    for path in found.archives:
        yield f"{path} ({shown_size(path.stat().st_size)})"
    for path, because in found.lookalikes if lacks.parts else []:
        yield _judged(path, because)


def _judged(path: Path, fault: str) -> str:
    return f"{path} cannot serve: {fault}" if fault else str(path)


def _difference(path: Path, document: Document) -> str:
    try:
        verify(path, document, "it")
    except SourceError as e:
        return str(e)
    return ""


def terms(entry: Entry) -> str:
    """Where a data set's terms stand, and where one has to sign up."""
    return f"terms: {entry.page}" + (f"; sign up at {entry.sign_up}" if entry.sign_up else "")


def size_of(remote: Remote) -> str:
    """The size in words; "unknown" where it is not known."""
    if remote.size is not None:
        return shown_size(remote.size)
    return "unknown" if remote.about is None else f"about {shown_size(remote.about)}"


def sum_of(entry: Entry, remote: Remote) -> str:
    """Which sum is known of a file, or of the document that it is."""
    sums = list(remote.sums)
    for document in entry.documents:
        if remote in document.sources:
            sums = [key for key in ("sha256", "git_blob") if getattr(document, key)]
    return ", ".join(sums) or "unknown"


def amount(tasks: Sequence[Task], root: Path) -> tuple[list[str], bool]:
    """How much is to be fetched and what the disk has, in lines; and whether that is enough.

    Of each data set the first source counts, less what an earlier call fetched of it. What is
    unpacked takes about as much as its archive, and each archive goes when its data set is there.
    """
    lines = [
        f"{task.entry.name} is not fetched: it needs a sign-up at {task.entry.sign_up}"
        for task in tasks
        if task.is_to_be_fetched and not task.ways
    ]
    to_fetch = [task for task in tasks if task.is_to_be_fetched and task.ways]
    if not to_fetch:
        return lines, True
    remotes = [(task, remote) for task in to_fetch for remote in task.ways[0]]
    sizes = {remote: _known_size(remote) for _, remote in remotes}
    known = [size for size in sizes.values() if size is not None]
    there = sum(_fetched_of(task, remote) for task, remote in remotes)
    existing = next(place for place in (root, *root.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    enough = sum(known) + max(known, default=0) <= free + there
    unknown = len(sizes) - len(known)
    words = [f"about {shown_size(max(sum(known) - there, 0))}"] if known else []
    words += [f"{counted(unknown, 'archive')} of unknown size"] if unknown else []
    verdict = "which is enough" + (" for what is known" if unknown else "")
    if not known:
        verdict = "which may or may not be enough"
    elif not enough:
        verdict = "too little: name fewer data sets, or another --root"
    what = f"{counted(len(to_fetch), 'data set')} to fetch: {' and '.join(words)}"
    disk = f"{existing} has {shown_size(free)} free, {verdict}"
    return [f"{what}; as much again unpacked; {disk}", *lines], enough


def _known_size(remote: Remote) -> int | None:
    if transport(remote.address) == "file":
        return 0
    return remote.about if remote.size is None else remote.size


def _fetched_of(task: Task, remote: Remote) -> int:
    """Bytes that earlier calls fetched of a file."""
    if transport(remote.address) == "file":
        return 0
    whole = Workshop(task.goal, task.entry.name).downloads / file_name(remote)
    begun = (whole, whole.with_name(f"{whole.name}.part"))
    return sum(path.stat().st_size for path in begun if path.is_file())


def by_hand(entry: Entry, lacks: Lacking, goal: Path) -> str:
    """What a person can fetch, and what becomes of it in the data set's directory `goal`."""
    lines = [f"  {terms(entry)}"]
    for document in lacks.documents:
        lines += _one_of(document.name, [(remote,) for remote in document.sources])
    if lacks.parts:
        ways = [lacks.needs(way) for way in entry.ways or (entry.by_hand,)]
        lines += _one_of("the pictures", ways)
    names = ", ".join((*lacks.parts, *(document.name for document in lacks.documents)))
    return "\n".join([*lines, f"  which become, in {goal}: {names}"])


def _one_of(what: str, ways: Sequence[Sequence[Remote]]) -> list[str]:
    lines = [f"  {what}, from {'one of' if len(ways) > 1 else ''}".rstrip()]
    for way in ways:
        for i, remote in enumerate(way):
            address = _noted(remote, hub.for_browsers(remote.address))
            lines.append(f"    {'  and ' if i else ''}{address}")
    return lines
