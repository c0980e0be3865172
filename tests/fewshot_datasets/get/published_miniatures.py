"""The data root of all miniatures, what the catalogue says of it, and pieces of it elsewhere."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import miniature
from fewshot_datasets import PUBLISHED, READERS
from fewshot_datasets.get.catalogue import Document, Entry, Part, load_catalogue


@dataclass(frozen=True)
class Laid:
    """What was written: which data sets, and the paths to give to `--from`."""

    configs: tuple[str, ...]
    paths: tuple[Path, ...]


V2 = "imagenetv2-matched-frequency-format-val"
Builder = Callable[[Path], Laid]


def publish_all(root: Path, configs: tuple[str, ...] = tuple(PUBLISHED)) -> Path:
    """A data root with the miniatures of `configs` and their published splits."""
    for config in configs:
        directory = miniature.build(config, root)
        if READERS[config].split_file:
            miniature.publish(config, directory)
    return root


def catalogue(root: Path) -> dict[str, Entry]:
    """The entries of sources.yaml, with the sums and sizes of the data sets of `publish_all`."""
    return {name: _miniature_entry(entry, root) for name, entry in load_catalogue().items()}


def _miniature_entry(entry: Entry, root: Path) -> Entry:
    directory = root / entry.reader.dataset_dir

    def document(one: Document) -> Document:
        if one.name == "classnames.txt":
            return replace(one, sizes=(len(miniature.SYNSETS),))
        content = (directory / one.name).read_bytes()
        sizes = tuple(map(len, entry.reader.load_split(directory, write=False)))
        return replace(one, sha256=hashlib.sha256(content).hexdigest(), git_blob="", sizes=sizes)

    def part(one: Part) -> Part:
        if one.lines is not None:
            return replace(one, lines=len((directory / one.goal).read_text().splitlines()))
        if one.images is None:
            return one
        classes = (folder for folder in (directory / one.goal).iterdir() if folder.is_dir())
        return replace(one, images=sum(len(list(folder.iterdir())) for folder in classes))

    return replace(
        entry, documents=tuple(map(document, entry.documents)), parts=tuple(map(part, entry.parts))
    )


def arrange(config: str, folder: Path, pieces: dict[str, str]) -> Path:
    """Write the data set into `folder`, with each of its `pieces` at another place; no more."""
    made = publish_all(folder / ".made", (config,)) / READERS[config].dataset_dir
    for piece, place in pieces.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (made / piece).rename(folder / place)
    shutil.rmtree(folder / ".made")
    return folder


def pack(tree: Path, archive: Path, name: str = "") -> Path:
    """Pack what is in a folder, below `name`, into an archive of the kind that its name says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(p for p in tree.rglob("*") if p.is_file()):
                file.write(path, Path(name) / path.relative_to(tree))
        return archive
    with tarfile.open(archive, "w:gz" if archive.suffix in (".tgz", ".gz") else "w") as file:
        for path in sorted(tree.iterdir()):
            file.add(path, Path(name) / path.name)
    return archive
