"""What was found of a data set, put into the directory that its reader reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from fewshot_datasets.files import say
from fewshot_datasets.splits import Split

from .catalogue import Document, Entry, Part
from .errors import GetError, SourceError
from .imagenet_val import place_val
from .place import merge, place
from .progress import Progress
from .published import verify
from .recognise import Found, most_complete_first
from .state import Lacking, known_split, lacking, shortfall
from .workshop import Workshop

SORTED = "images/val"  # the part that others have in one heap

Make = Callable[..., "str | None"]  # of a goal, how, and what counts the files


class Placing:
    """Places documents and parts in `goal` until nothing is lacking, each whole or not at all."""

    def __init__(self, entry: Entry, goal: Path, workshop: Workshop, link: str) -> None:
        self.entry, self.goal, self.workshop, self.link = entry, goal, workshop, link
        self.lacks = Lacking()
        self.failures: list[str] = []  # of each source that was tried
        self.to_sort: dict[str, list[Path]] = {}  # from all places: one may sort another's pictures

    def look(self) -> None:
        """See what is lacking now."""
        self.lacks = lacking(self.entry, self.goal)

    def say(self, text: str) -> None:
        say(f"{self.entry.name}: {text}")

    @contextmanager
    def next_if_it_fails(self) -> Iterator[None]:
        """Say why a source does not serve, unless that was said already, and go on."""
        try:
            yield
        except SourceError as e:
            # What was unpacked is gone when the message is read.
            fault = str(e).replace(f"{self.workshop.unpacked}{os.sep}", "")
            if fault:
                self.failures.append(fault)
                self.say(f"not used: {fault}")

    def take_document(self, document: Document, path: Path, called: str = "") -> None:
        """Place a document; raises SourceError, naming it as `called`, if it is another one."""
        remark = verify(path, document, called)
        if remark:
            self.say(remark)
        self.workshop.ready.mkdir(exist_ok=True)
        staged = self.workshop.ready / document.name
        shutil.copyfile(path, staged)
        self._move(staged, self.goal / document.name)

    def take_documents(self, found: Found) -> None:
        """Place the documents that are lacking and were found."""
        for document in list(self.lacks.documents):
            for path in found.documents.get(document.name, []):
                with self.next_if_it_fails():
                    self.take_document(document, path)
                    break

    def take(self, found: Found, how: str) -> None:
        """Place the parts that are lacking; one that is not whole is named and left."""
        elsewhere = () if self.entry.reader.split_file else found.folders(self.entry)
        split = known_split(self.entry.reader, self.goal, *elsewhere)
        for part in sorted(self.entry.parts, key=lambda part: part.optional):
            sources = found.parts.get(part.goal, []) if self._wants(part) else []
            for source in most_complete_first(sources, part, split, self.entry.reader):
                if part.optional and not source.exists():
                    continue  # it was moved with a folder around it
                with self.next_if_it_fails():
                    self._refuse_incomplete(part, source, split, how)
                    self._stage(part, partial(self._place, source, how))
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
            how = "move" if self.workshop.unpacked in val.parents else self.link
            heap = here | {"val": [val]}
            with self.next_if_it_fails():
                self._stage(part, partial(self._place, val, how, make=partial(place_val, heap)))
                break

    def _place(self, source: Path, how: str, goal: Path, make: Make | None = None) -> str | None:
        """Place it, and say so: a copy takes long, and a link leads to where something may go."""
        make = make or partial(place, source)
        if how == "move" or not source.is_dir():
            return make(goal, how)
        files = sum(len(names) for _, _, names in os.walk(source))
        title = f"{self.entry.name}: {'copy' if how == 'copy' else 'link'} {source}"
        with Progress(title, None, files=True) as progress:
            remark = make(goal, how, lambda n: progress.move(progress.done + n, files))
        if not progress.done:  # one link to the folder
            self.say(f"link {source}")
        return remark

    def _wants(self, part: Part) -> bool:
        if part.optional:
            return not (self.lacks.parts or os.path.lexists(self.goal / part.goal))
        return part.goal in self.lacks.parts

    def _refuse_incomplete(
        self, part: Part, source: Path, split: Split | None, how: str = "move"
    ) -> None:
        fault = shortfall(part, [source, self.goal / part.goal], split, self.entry.reader)
        if fault:
            advice = "" if how == "move" else f".{serving(self.entry)}"
            raise SourceError(f"{source}: {fault}{advice}")

    def _stage(self, part: Part, make: Callable[[Path], str | None]) -> None:
        """Make a part beside its goal and move it there, whole."""
        staged = self.workshop.ready / part.goal
        staged.parent.mkdir(parents=True, exist_ok=True)
        remark = make(staged)
        if remark:
            self.say(remark)
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
        self.look()


def serving(entry: Entry) -> str:
    """What of others' copies would serve."""
    return f" What would serve: {'; '.join(entry.serves)}" if entry.serves else ""
