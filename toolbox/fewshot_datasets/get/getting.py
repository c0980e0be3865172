"""One data set, from whatever is at hand to the folder that its reader reads."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fewshot_datasets import READERS, DatasetError
from fewshot_datasets.files import read_json, write_json

from .archives import kind, unpack
from .catalogue import Document, Entry, Remote
from .errors import GetError, SourceError
from .fetch import discard, fetch, fetched, transport
from .new_folder import stem_of
from .placing import SORTED, Placing, serving
from .progress import Progress, shown_size
from .recognise import Found, find, held, part_of_class, together
from .session import shown
from .state import Lacking
from .tree import Tree
from .workshop import Workshop

RECORD = "fetched.json"  # in a data set's directory: what was fetched, from where, with its sums
# What unpacks to more bytes than SMALL, and to more than DENSEST times its size, is a bomb.
SMALL, DENSEST = 1 << 30, 100


@dataclass(frozen=True)
class Wishes:
    """What a call asks for, for every data set."""

    root: Path
    found: Found = field(default_factory=Found)  # of what a person already has
    link: str = "hard"  # how that is placed
    sources: tuple[Remote, ...] = ()  # in place of the catalogue's, for the pictures
    online: Callable[[], bool] = lambda: True  # whether addresses are to be asked


class Getting:
    """Brings what one data set lacks, from one place after the other, until nothing is lacking."""

    def __init__(self, entry: Entry, wishes: Wishes) -> None:
        self.entry, self.wishes = entry, wishes
        self.goal = wishes.root / entry.reader.dataset_dir
        self.workshop = Workshop(self.goal, entry.name)
        self.placing = Placing(entry, self.goal, self.workshop, wishes.link)
        self.asked: set[str] = set()  # names of documents whose addresses were tried

    @property
    def lacks(self) -> Lacking:
        return self.placing.lacks

    def run(self) -> Lacking:
        """Get it, and say what is lacking then; GetError where no source helps: a full disk."""
        try:
            self.placing.look()
            if not self.lacks:
                self.placing.say("is there already")
                if self.workshop.folder.exists():  # of a call that was killed at its very end
                    with suppress(GetError, OSError), self.workshop.opened():
                        self.workshop.forget_downloads()
                return self.lacks
            with self.workshop.opened():
                self.placing.look()  # another call may have held the lock
                if not self.lacks.blocked:
                    self._from_what_is_at_hand()
                    self._from_sources()
                if not self.lacks:
                    self.workshop.forget_downloads()
        except OSError as e:
            places = [str(place) for place in (e.filename, e.filename2) if place]
            place = f": {' to '.join(places)}" if places else f", below {self.wishes.root}"
            raise GetError(f"{e.strerror or e}{place}{self._kept(e)}") from e
        return self.lacks

    def _kept(self, error: OSError) -> str:
        """Of a full disk: what of it is kept where nobody looks, for the next call."""
        kept = self.workshop.kept() if error.errno in (errno.ENOSPC, errno.EDQUOT) else 0
        text = f"; {shown_size(kept)} that were fetched are kept in {self.workshop.downloads}"
        return text if kept else ""

    def _from_what_is_at_hand(self) -> None:
        found = self.wishes.found
        self.placing.take_documents(found)
        self._from_neighbours()
        documents = {document.name for document in self.lacks.documents}
        if found and not any(held(archive, self.entry) & documents for archive in found.archives):
            self._fetch_documents()  # what is placed has to be compared with them
        self.placing.take(found, self.wishes.link)
        for archives in together(self.entry, found.archives):
            if any(self._may_help(archive) for archive in archives):
                with self.placing.next_if_it_fails():
                    self._take_archives(archives)
        for folder, because in found.lookalikes:
            if self.lacks.parts:
                with self.placing.next_if_it_fails():
                    raise SourceError(f"{folder} cannot serve: {because}.{serving(self.entry)}")

    def _may_help(self, archive: Path) -> bool:
        """Whether an archive may hold what is lacking: ImageNet's take an hour to unpack."""
        wanted = {*self.lacks.parts, *(document.name for document in self.lacks.documents)}
        if SORTED in wanted:
            wanted |= {part.goal for part in self.entry.to_sort}
        goals = held(archive, self.entry)
        return bool(wanted) and (not goals or bool(goals & wanted))

    def _from_sources(self) -> None:
        if self.wishes.sources:
            with self.placing.next_if_it_fails():
                self._take_archives(self._fetch(self.wishes.sources))
        self._fetch_documents()
        for way in () if self.wishes.sources else self.entry.ways:
            if self.lacks.parts and self._may_ask(way):
                with self.placing.next_if_it_fails():
                    self._take_archives(self._fetch(self.lacks.needs(way)))

    def _from_neighbours(self) -> None:
        """ImageNet's class names serve all of its variants."""
        for document in list(self.lacks.documents):
            for reader in READERS.values():
                path = self.wishes.root / reader.dataset_dir / document.name
                if path.is_file() and document in self.lacks.documents:
                    with self.placing.next_if_it_fails():
                        self.placing.take_document(document, path)

    def _fetch(self, remotes: Sequence[Remote]) -> list[Path]:
        return [fetch(remote, self.workshop.downloads) for remote in remotes]

    def _fetch_documents(self) -> None:
        for document in list(self.lacks.documents):
            if document.name not in self.asked:
                self.asked.add(document.name)
                self._fetch_document(document)

    def _fetch_document(self, document: Document) -> None:
        for remote in document.sources:
            if document in self.lacks.documents and self._may_ask([remote]):
                with self.placing.next_if_it_fails():
                    paths = self._fetch([remote])
                    with self._discarded_if_it_fails(paths):
                        self.placing.take_document(document, paths[0], shown(remote.address))
                        self._record(paths)

    def _may_ask(self, remotes: Sequence[Remote]) -> bool:
        """Whether there is a way to these addresses; a path needs no network."""
        return all(transport(r.address) == "file" for r in remotes) or self.wishes.online()

    @contextmanager
    def _discarded_if_it_fails(self, files: Sequence[Path]) -> Iterator[None]:
        """So that the next call fetches them anew; what a person gave is left."""
        try:
            yield
        except SourceError:
            for file in files:
                if file.parent == self.workshop.downloads:
                    discard(file)
            raise

    def _take_archives(self, archives: Sequence[Path]) -> None:
        """Unpack them and take what they hold; raises SourceError if that helps nothing."""
        lacked, refused = str(self.lacks), len(self.placing.failures)
        try:
            with self._discarded_if_it_fails(archives):
                for archive in archives:
                    if kind(archive):
                        self._unpack(archive)
                    else:
                        self._take_document_file(archive)
                if self.workshop.unpacked.is_dir():
                    found = find(Tree.of_folder(self.workshop.unpacked), self.entry)
                    self.placing.take_documents(found)
                    self.placing.take(found, "move")
                if str(self.lacks) == lacked:
                    said = len(self.placing.failures) > refused
                    raise SourceError("" if said else self._no_help(archives))
                # A second pass over ImageNet's archives would take as long as unpacking them.
                at_hand = self.wishes.found.archives
                self._record([archive for archive in archives if archive not in at_hand])
        finally:
            self.workshop.clear()

    def _no_help(self, archives: Sequence[Path]) -> str:
        names = ", ".join(archive.name for archive in archives)
        return f"{names}: holds nothing that {self.entry.name} lacks ({self.lacks})"

    def _unpack(self, archive: Path) -> None:
        free, size = shutil.disk_usage(self.workshop.folder).free, archive.stat().st_size
        most = max(SMALL, DENSEST * size)
        with Progress(f"unpack {archive.name}", size) as progress:
            room = self.workshop.room(*part_of_class(self.entry, archive), stem_of(archive))
            unpack(archive, room, progress.advance, limit_bytes=most, free_bytes=free)

    def _record(self, files: Sequence[Path]) -> None:
        """Keep in the data set's directory where what was fetched came from, with its sums."""
        if not files:
            return
        path = self.goal / RECORD
        records = []
        with suppress(DatasetError, TypeError):  # there is none, or it is none of ours
            records = list(read_json(path))
        new = [fetched(file) for file in files]
        write_json([record for record in records if record not in new] + new, path)

    def _take_document_file(self, path: Path) -> None:
        if not self.lacks.documents:
            raise SourceError(f"{path.name} is no archive")
        try:
            self.placing.take_document(self.lacks.documents[0], path)
        except SourceError as e:
            raise SourceError(f"{path.name} is no archive, and {e}") from e
