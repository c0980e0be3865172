"""One data set, from whatever is at hand to the folder that its reader reads."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from fewshot_datasets import READERS
from fewshot_datasets.files import read_json, say, write_json
from fewshot_datasets.splits import Split

from .archives import kind, unpack
from .catalogue import Document, Entry, Part, Remote
from .errors import GetError, SourceError
from .fetch import discard, fetch, fetched
from .imagenet_val import place_val
from .new_folder import stem_of
from .place import merge, place
from .progress import Progress, shown_size
from .published import verify
from .recognise import Found, find, join, most_complete_first
from .state import Lacking, known_split, lacking, shortfall
from .tree import Tree
from .workshop import Workshop

RECORD = "fetched.json"  # in a data set's directory: what was fetched, from where, with its sums
SORTED = "images/val"  # the part that others have in one heap
SMALL, DENSEST = (
    1 << 30,
    100,
)  # bytes; what unpacks to more, and to so many times its size, is a bomb


@dataclass(frozen=True)
class Wishes:
    """What a call asks for, for every data set."""

    root: Path
    trees: tuple[Tree, ...] = ()  # of what a person already has
    link: str = "hard"  # how that is placed
    sources: tuple[Remote, ...] = ()  # in place of the catalogue's, for the pictures
    online: Callable[[], bool] = lambda: True  # whether addresses are to be asked


@dataclass
class Outcome:
    """What came of one data set."""

    entry: Entry
    lacks: Lacking
    failures: list[str] = field(default_factory=list)  # of each source that was tried


class Getting:
    """Brings what one data set lacks, from one place after the other, until nothing is lacking."""

    def __init__(self, entry: Entry, wishes: Wishes) -> None:
        self.entry, self.wishes = entry, wishes
        self.goal = wishes.root / entry.reader.dataset_dir
        self.workshop = Workshop(self.goal, entry.name)
        self.outcome = Outcome(entry, Lacking())
        self.to_sort: dict[str, list[Path]] = {}  # from all places: one may sort another's pictures

    @property
    def lacks(self) -> Lacking:
        return self.outcome.lacks

    def run(self) -> Outcome:
        """Get it; raises GetError where no source can help, such as a full disk."""
        try:
            self._look()
            if not self.lacks:
                self._say("is there already")
                if self.workshop.folder.exists():  # of a call that was killed at its very end
                    with suppress(GetError, OSError), self.workshop.opened():
                        self.workshop.forget_downloads()
                return self.outcome
            with self.workshop.opened():
                self._look()  # another call may have held the lock
                if not self.lacks.blocked:
                    self._from_trees()
                    self._from_sources()
                if not self.lacks:
                    self.workshop.forget_downloads()
        except OSError as e:
            places = [str(place) for place in (e.filename, e.filename2) if place]
            place = f": {' to '.join(places)}" if places else f", below {self.wishes.root}"
            raise GetError(f"{self.entry.name}: {e.strerror or e}{place}{self._kept(e)}") from e
        return self.outcome

    def _kept(self, error: OSError) -> str:
        """Of a full disk: what of it is kept where nobody looks, for the next call."""
        kept = self.workshop.kept() if error.errno in (errno.ENOSPC, errno.EDQUOT) else 0
        text = f"; {shown_size(kept)} that were fetched are kept in {self.workshop.downloads}"
        return text if kept else ""

    def _look(self) -> None:
        self.outcome.lacks = lacking(self.entry, self.goal)

    def _say(self, text: str) -> None:
        say(f"{self.entry.name}: {text}")

    @contextmanager
    def _next_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except SourceError as e:
            self.outcome.failures.append(str(e))
            self._say(f"not used: {e}")

    def _from_trees(self) -> None:
        found = join(find(tree, self.entry) for tree in self.wishes.trees)
        self._take(found, self.wishes.link)
        for archives in together(self.entry, found.archives):
            if self.lacks:
                with self._next_if_it_fails():
                    self._take_archives(archives)
        for folder, because in found.lookalikes:
            if self.lacks.parts:
                with self._next_if_it_fails():
                    raise SourceError(f"{folder} cannot serve: {because}.{serving(self.entry)}")

    def _from_sources(self) -> None:
        if self.wishes.sources:
            with self._next_if_it_fails():
                self._take_archives(self._fetch(self.wishes.sources))
        self._from_neighbours()
        if not self.lacks or not self.wishes.online():
            return
        for document in list(self.lacks.documents):
            self._fetch_document(document)
        for way in () if self.wishes.sources else self.entry.ways:
            if self.lacks.parts:
                with self._next_if_it_fails():
                    self._take_archives(self._fetch(way))

    def _from_neighbours(self) -> None:
        """ImageNet's class names serve all of its variants."""
        for document in list(self.lacks.documents):
            for reader in READERS.values():
                path = self.wishes.root / reader.dataset_dir / document.name
                if path.is_file() and document in self.lacks.documents:
                    with self._next_if_it_fails():
                        self._take_document(document, path)

    def _fetch(self, remotes: Sequence[Remote]) -> list[Path]:
        return [fetch(remote, self.workshop.downloads) for remote in remotes]

    def _fetch_document(self, document: Document) -> None:
        for remote in document.sources:
            with self._next_if_it_fails():
                paths = self._fetch([remote])
                self._take_document(document, paths[0])
                self._record(paths)
                return

    def _take_archives(self, archives: Sequence[Path]) -> None:
        """Unpack them and take what they hold; raises SourceError if that helps nothing."""
        lacked = str(self.lacks)
        try:
            for archive in archives:
                if kind(archive):
                    self._unpack(archive)
                else:
                    self._take_document_file(archive)
            if self.workshop.unpacked.is_dir():
                self._take(find(Tree.of_folder(self.workshop.unpacked), self.entry), "move")
            if str(self.lacks) == lacked:
                names = ", ".join(archive.name for archive in archives)
                raise SourceError(f"{names}: holds nothing that {self.entry.name} lacks ({lacked})")
            self._record(archives)
        except SourceError:
            for archive in archives:
                if archive.parent == self.workshop.downloads:
                    discard(archive)
            raise
        finally:
            self.workshop.clear()

    def _unpack(self, archive: Path) -> None:
        free, size = shutil.disk_usage(self.workshop.folder).free, archive.stat().st_size
        most = max(SMALL, DENSEST * size)
        with Progress(f"unpack {archive.name}", size) as progress:
            room = self.workshop.room(*part_of_class(self.entry, archive), stem_of(archive))
            unpack(archive, room, progress.advance, limit_bytes=most, free_bytes=free)

    def _record(self, files: Sequence[Path]) -> None:
        """Keep in the data set's directory where what was fetched came from, with its sums."""
        path = self.goal / RECORD
        records = read_json(path) if path.is_file() else []
        new = [fetched(file) for file in files]
        write_json([record for record in records if record not in new] + new, path)

    def _take_document_file(self, path: Path) -> None:
        if not self.lacks.documents:
            raise SourceError(f"{path.name} is no archive")
        try:
            self._take_document(self.lacks.documents[0], path)
        except SourceError as e:
            raise SourceError(f"{path.name} is no archive, and {e}") from e

    def _take_document(self, document: Document, path: Path) -> None:
        remark = verify(path, document)
        if remark:
            self._say(remark)
        self.workshop.ready.mkdir(exist_ok=True)
        staged = self.workshop.ready / document.name
        shutil.copyfile(path, staged)
        self._move(staged, self.goal / document.name)

    def _take(self, found: Found, how: str) -> None:
        """Place what is lacking and was found; a part that is not whole is named and left."""
        for document in list(self.lacks.documents):
            for path in found.documents.get(document.name, []):
                with self._next_if_it_fails():
                    self._take_document(document, path)
                    break
        elsewhere = () if self.entry.reader.split_file else found.folders(self.entry)
        split = known_split(self.entry.reader, self.goal, *elsewhere)
        for part in sorted(self.entry.parts, key=lambda part: part.optional):
            sources = found.parts.get(part.goal, []) if self._wants(part) else []
            for source in most_complete_first(sources, part, split, self.entry.reader):
                if part.optional and not source.exists():
                    continue  # it was moved with a folder around it
                with self._next_if_it_fails():
                    self._refuse_incomplete(part, source, split)
                    self._stage(part, lambda staged, source=source: place(source, staged, how))
                    break
        if found.to_sort:
            self._sort(found)

    def _sort(self, found: Found) -> None:
        """Place the pictures that lie in one heap, if what sorts them was found here or before."""
        for name, paths in found.to_sort.items():
            self.to_sort.setdefault(name, []).extend(paths)
        # What lay in an earlier archive is cleared.
        here = {name: [p for p in paths if p.exists()] for name, paths in self.to_sort.items()}
        (part,) = (part for part in self.entry.parts if part.goal == SORTED)
        for val in here.get("val", []) if self._wants(part) else []:
            how = "move" if self.workshop.unpacked in val.parents else self.wishes.link
            heap = here | {"val": [val]}
            with self._next_if_it_fails():
                self._stage(part, lambda staged, heap=heap, how=how: place_val(heap, staged, how))
                break

    def _wants(self, part: Part) -> bool:
        if part.optional:
            return not (self.lacks.parts or os.path.lexists(self.goal / part.goal))
        return part.goal in self.lacks.parts

    def _refuse_incomplete(self, part: Part, source: Path, split: Split | None) -> None:
        fault = shortfall(part, [source, self.goal / part.goal], split, self.entry.reader)
        if fault:
            raise SourceError(f"{source}: {fault}.{serving(self.entry)}")

    def _stage(self, part: Part, make: Callable[[Path], str | None]) -> None:
        """Make a part beside its goal and move it there, whole."""
        staged = self.workshop.ready / part.goal
        staged.parent.mkdir(parents=True, exist_ok=True)
        remark = make(staged)
        if remark:
            self._say(remark)
        self._refuse_incomplete(part, staged, known_split(self.entry.reader, self.goal))
        self._move(staged, self.goal / part.goal)

    def _move(self, staged: Path, goal: Path) -> None:
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.is_dir() and staged.is_dir():
            merge(staged, goal)
        elif goal.is_symlink():
            raise GetError(f"{goal} is a symbolic link to nothing: remove it")
        else:
            os.replace(staged, goal)
        self._look()


def together(entry: Entry, archives: Sequence[Path]) -> list[list[Path]]:
    """The archives that are to be unpacked at once: those of the classes of one part."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    for archive in dict.fromkeys(archives):
        key = part_of_class(entry, archive) or (str(archive),)
        groups.setdefault(key, []).append(archive)
    return list(groups.values())


def part_of_class(entry: Entry, archive: Path) -> tuple[str, ...]:
    """The name of the part of which an archive holds one class, such as `n01440764.tar`."""
    for part in entry.parts:
        if any("?" in name and fnmatchcase(archive.name, name) for name in part.packed):
            return (part.goal.rpartition("/")[2],)
    return ()


def serving(entry: Entry) -> str:
    """What of others' copies would serve."""
    return f" What would serve: {'; '.join(entry.serves)}" if entry.serves else ""
