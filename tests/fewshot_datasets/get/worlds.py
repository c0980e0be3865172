"""The command against miniatures: a list of sources whose sums and sizes are theirs."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml
from data_server import Behaviour, DataServer
from fewshot_datasets import READERS
from fewshot_datasets.get.__main__ import main
from fewshot_datasets.get.catalogue import Entry, Remote
from fewshot_datasets.get.fetch import file_name, transport
from layouts import LAYOUTS, catalogue

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write_sources(path: Path, entries: Mapping[str, Entry]) -> Path:
    """A file for `--sources` that says the same as the entries."""
    content = {name: _plain(replace(entry, name="")) for name, entry in entries.items()}
    path.write_text(yaml.dump(content, Dumper=DUMPER, sort_keys=False))
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    known = {f.name: getattr(value, f.name) for f in fields(value)}
    # Sources and ways are kept where they are empty: they take the place of the shipped ones.
    kept = ("ways", "sources", "documents", "by_hand", "holds")
    return {key: _plain(v) for key, v in known.items() if v not in ("", None, ()) or key in kept}


def without_addresses(entry: Entry) -> Entry:
    """The entry as if nobody served it."""
    documents = tuple(replace(document, sources=()) for document in entry.documents)
    return replace(entry, ways=(), by_hand=(), documents=documents)


def content(root: Path, config: str, entry: Entry) -> dict[str, bytes]:
    """The bytes of every file of the data set that its reader needs, by path below `root`."""
    directory = root / READERS[config].dataset_dir
    goals = [part.goal for part in entry.parts if not part.optional]
    goals += [document.name for document in entry.documents]
    files: dict[str, bytes] = {}
    for goal in goals:
        place = directory / goal
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in found:
            if file.is_file() and not file.name.startswith((".", "README")):
                files[file.relative_to(directory).as_posix()] = file.read_bytes()
    return files


def serve_all(folder: Path, root: Path, server: DataServer) -> dict[str, Entry]:
    """Write what every source of every data set serves; the entries that say so.

    The hub's and the drive's addresses are the real ones, which the server answers in their place;
    plain ones are its own.
    """
    entries = {}
    for config, entry in catalogue(root).items():
        made: dict[str, Path] = {}
        if entry.ways:
            place = folder.parent / "made" / config
            LAYOUTS[f"official-archives/{config}"](place / "official")
            made = {path.name: path for path in (place / "official").iterdir()}
            LAYOUTS[f"hub/{config}"](place / "hub")
            (made["whole"],) = (place / "hub").iterdir()

        def archive_of(remote: Remote, made: dict[str, Path] = made) -> Path:
            whole = "prompt_learning_dataset" in remote.address
            return made["whole" if whole else file_name(remote)]

        ways = tuple(
            tuple(_served(one, archive_of(one), folder, server) for one in way)
            for way in entry.ways
        )
        documents = tuple(
            replace(
                document,
                sources=tuple(
                    _served(one, root / entry.reader.dataset_dir / document.name, folder, server)
                    for one in document.sources
                ),
            )
            for document in entry.documents
        )
        entries[config] = replace(entry, ways=ways, documents=documents)
    return entries


def _served(remote: Remote, file: Path, folder: Path, server: DataServer) -> Remote:
    """Put a file where the server has it for this source; the source with its sums."""
    name = served_name(remote, file)
    goal = folder / name
    goal.parent.mkdir(parents=True, exist_ok=True)
    if not goal.exists():
        shutil.copyfile(file, goal)
    content = file.read_bytes()
    sums = {key: hashlib.new(key, content).hexdigest() for key in remote.sums}
    size = None if remote.size is None else len(content)
    address = server.address(name) if transport(remote.address) == "plain" else remote.address
    return replace(remote, address=address, size=size, about=None, **sums)


def served_name(remote: Remote, file: Path) -> str:
    """The server's own name of what a source serves."""
    if transport(remote.address) == "drive":
        return "drive/" + remote.address.rpartition("=")[2]
    if transport(remote.address) == "hub":
        return re.sub("@[^/]+", "", remote.address.removeprefix("hf://"))
    return f"files/{file.parent.name}/{file.name}"


@dataclass(frozen=True)
class World:
    """A complete data root, and the command that gets it from the server."""

    root: Path
    entries: dict[str, Entry]
    server: DataServer
    sources: Path  # for `--sources`

    def get(self, root: Path, *words: str) -> int:
        return main([*words, "--root", str(root), "--sources", str(self.sources)])

    def is_whole(self, root: Path, config: str) -> bool:
        """Whether the data set is the same there, byte for byte."""
        placed = content(root, config, self.entries[config])
        wanted = content(self.root, config, self.entries[config])
        return {path: placed.get(path) for path in wanted} == wanted

    def ways(self, config: str) -> list[list[str]]:
        """The server's names of what each way fetches."""
        return [[self.name_of(remote) for remote in way] for way in self.entries[config].ways]

    def documents(self, config: str) -> list[str]:
        """The server's names of the sources of a data set's document."""
        return [self.name_of(s) for d in self.entries[config].documents for s in d.sources]

    def name_of(self, remote: Remote) -> str:
        if remote.address.startswith(self.server.url):
            return remote.address.removeprefix(f"{self.server.url}/")
        return served_name(remote, Path())

    def fail(self, names: Iterable[str], does: Behaviour | None = None) -> None:
        for name in names:
            self.server.behaviour[name] = does or Behaviour(status=404)
