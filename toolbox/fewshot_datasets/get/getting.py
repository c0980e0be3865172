"""One data set, from whatever is at hand to the folder that its reader reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fewshot_datasets.files import say

from .archives import kind, unpack
from .catalogue import Document, Entry, Part, Remote
from .errors import GetError, SourceError
from .fetch import fetch
from .place import merge, place
from .progress import Progress
from .published import verify
from .recognise import Found, find
from .state import Lacking, known_split, lacking, shortfall
from .tree import Tree
from .workshop import Workshop


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
        self.workshop = Workshop(wishes.root, entry.name)
        self.outcome = Outcome(entry, Lacking())

    @property
    def lacks(self) -> Lacking:
        return self.outcome.lacks

    def run(self) -> Outcome:
        """Get it; raises GetError where no source can help, such as a full disk."""
        try:
            self._look()
            if not self.lacks:
                self._say("is there already")
                return self.outcome
            with self.workshop.opened():
                self._look()  # another call may have held the lock
                if not self.lacks.blocked:
                    self._from_trees()
                    self._from_sources()
                if not self.lacks:
                    self.workshop.forget_downloads()
        except OSError as e:
            place = f": {e.filename}" if e.filename else f", below {self.wishes.root}"
            raise GetError(f"{self.entry.name}: {e.strerror or e}{place}") from e
        return self.outcome

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
        found = [find(tree, self.entry) for tree in self.wishes.trees]
        for one in found:
            self._take(one, self.wishes.link)
        for archive in [archive for one in found for archive in one.archives]:
            if self.lacks:
                with self._next_if_it_fails():
                    self._take_archives([archive])
        for folder, because in [like for one in found for like in one.lookalikes]:
            if self.lacks.parts:
                with self._next_if_it_fails():
                    raise SourceError(f"{folder} cannot serve: {because}. {serving(self.entry)}")

    def _from_sources(self) -> None:
        for remote in self.wishes.sources:
            with self._next_if_it_fails():
                self._take_archives(self._fetch([remote]))
        if not self.lacks or not self.wishes.online():
            return
        for document in list(self.lacks.documents):
            self._fetch_document(document)
        for way in () if self.wishes.sources else self.entry.ways:
            if self.lacks.parts:
                with self._next_if_it_fails():
                    self._take_archives(self._fetch(way))

    def _fetch(self, remotes: Sequence[Remote]) -> list[Path]:
        return [fetch(remote, self.workshop.downloads) for remote in remotes]

    def _fetch_document(self, document: Document) -> None:
        for remote in document.sources:
            with self._next_if_it_fails():
                (path,) = self._fetch([remote])
                self._take_document(document, path)
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
        except SourceError:
            for archive in archives:
                if self.workshop.downloads in archive.parents:
                    archive.unlink(missing_ok=True)
            raise
        finally:
            self.workshop.clear()

    def _unpack(self, archive: Path) -> None:
        free = shutil.disk_usage(self.wishes.root).free
        with Progress(f"unpack {archive.name}", archive.stat().st_size) as progress:
            unpack(archive, self.workshop.room(), progress.advance, limit_bytes=free)

    def _take_document_file(self, path: Path) -> None:
        for document in self.lacks.documents:
            self._take_document(document, path)
            return
        raise SourceError(f"{path.name} is no archive")

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
        split = known_split(self.entry.reader, self.goal, *found.folders(self.entry))
        for part in self.entry.parts:
            goal = self.goal / part.goal
            wanted = not os.path.lexists(goal) if part.optional else part.goal in self.lacks.parts
            for source in found.parts.get(part.goal, []) if wanted else []:
                with self._next_if_it_fails():
                    fault = shortfall(part, [source, goal], split, self.entry.reader)
                    if fault:
                        raise SourceError(f"{source}: {fault}. {serving(self.entry)}")
                    self._place(source, part, how)
                    break

    def _place(self, source: Path, part: Part, how: str) -> None:
        staged = self.workshop.ready / part.goal
        staged.parent.mkdir(parents=True, exist_ok=True)
        remark = place(source, staged, how)
        if remark:
            self._say(remark)
        self._move(staged, self.goal / part.goal)

    def _move(self, staged: Path, goal: Path) -> None:
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.is_dir() and staged.is_dir():
            merge(staged, goal)
        else:
            os.replace(staged, goal)
        self._look()


def serving(entry: Entry) -> str:
    """What of others' copies would serve."""
    return f"What would: {'; '.join(entry.serves)}" if entry.serves else ""
