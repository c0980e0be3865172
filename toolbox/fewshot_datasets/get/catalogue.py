"""The data sets that can be fetched: what each consists of and where it is to be had.

All of it stands in `sources.yaml` beside this file, whose head explains the form; another file of
that form (`--sources FILE`) adds to it or takes the place of single entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from fewshot_datasets import PUBLISHED, READERS, DatasetError, FewShotDataset
from fewshot_datasets.files import read_text

SOURCES = Path(__file__).with_name("sources.yaml")
_DIGITS = {"md5": 32, "sha256": 64, "git_blob": 40}


@dataclass(frozen=True)
class Remote:
    """One file that can be fetched, with what is known of its content; "" and None are unknown."""

    address: str  # https://..., hf://..., https://drive.google.com/uc?id=..., or a path
    name: str = ""  # the file's, for addresses that do not end with it
    size: int | None = None  # bytes
    about: int | None = None  # bytes, where the size is known roughly
    md5: str = ""
    sha256: str = ""
    git_blob: str = ""  # SHA-1 of `blob SIZE\0` and the content
    note: str = ""  # what is known of the address, such as the year of its death

    @property
    def sums(self) -> dict[str, str]:
        """The sums that are known, by name of the algorithm."""
        known = {key: getattr(self, key) for key in _DIGITS}
        return {key: value for key, value in known.items() if value}


@dataclass(frozen=True)
class Part:
    """A folder or file of a data set, and how it is recognised among others' files.

    Patterns are those of `fnmatch`, for each name of a path with `/`; a folder is the part if its
    own name matches `named`, if it has an entry for each pattern of `holds`, and if the folder
    around it has one for each of `beside`. A file is the part if its name matches `named`, and if
    the folder around it has an entry for each of `beside`.
    """

    goal: str  # below the data set's directory, with `/`
    named: str = "*"
    holds: tuple[str, ...] = ()  # empty: the part is a file
    beside: tuple[str, ...] = ()
    optional: bool = False  # placed where it is found, never asked for
    packed: tuple[str, ...] = ()  # archives that hold nothing but this part, or a class of it
    images: int | None = None  # how many a folder holds, where no published list names them
    lines: int | None = None  # how many a file has, where it is a published list


@dataclass(frozen=True)
class Lookalike:
    """What people have of this data set that cannot serve: recognised as a `Part` is."""

    holds: tuple[str, ...]
    because: str
    named: str = "*"


@dataclass(frozen=True)
class Document:
    """A small file that has to be there as it was published: the split, or names of classes.

    The sums are those of the published bytes; a copy may differ in white space.
    """

    name: str  # below the data set's directory
    sha256: str = ""
    git_blob: str = ""
    sizes: tuple[int, ...] = ()  # of a split: train, val, test; of names of classes: lines
    sources: tuple[Remote, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One data set."""

    name: str  # of its config file
    page: str  # where its terms stand
    sign_up: str = ""  # where one has to sign up before the archives can be had
    parts: tuple[Part, ...] = ()
    documents: tuple[Document, ...] = ()
    ways: tuple[tuple[Remote, ...], ...] = ()  # each brings all pictures
    by_hand: tuple[Remote, ...] = ()  # what a sign-up is for
    to_sort: tuple[Part, ...] = ()  # pictures in one heap, and what tells their classes
    lookalikes: tuple[Lookalike, ...] = ()
    serves: tuple[str, ...] = ()  # what others have that can serve, in words

    @property
    def reader(self) -> type[FewShotDataset]:
        return READERS[self.name]


def load_catalogue(more: Path | None = None) -> dict[str, Entry]:
    """The entries by config name, in the order of the publications.

    What `more`, a file of the same form, says of a data set takes the place of what `sources.yaml`
    says under the same key. Raises DatasetError, naming file, key and value.
    """
    content = _read(SOURCES)
    if more:
        for name, keys in _read(more).items():
            content[name] = content[name] | keys
    return {
        name: _entry(content[name] | {"name": name}, f"{more or SOURCES}: {name}")
        for name in PUBLISHED
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise DatasetError(f"{path} is not YAML ({' '.join(str(e).split())})") from e
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected data sets by name, found {content!r:.80}")
    for name, keys in content.items():
        if name not in PUBLISHED:
            raise DatasetError(
                f"{path}: there is no published data set {name!r}; there are {', '.join(PUBLISHED)}"
            )
        if not isinstance(keys, dict):
            raise DatasetError(f"{path}: {name} is {keys!r:.80}, expected keys and values")
    return content


def _entry(content: dict[str, Any], where: str) -> Entry:
    makers = {
        "parts": _list_of(_simple(Part)),
        "documents": _list_of(_document),
        "ways": _list_of(_way),
        "by_hand": _list_of(_remote),
        "to_sort": _list_of(_simple(Part)),
        "lookalikes": _list_of(_simple(Lookalike)),
    }
    return _make(Entry, content, where, makers)


def _document(content: Any, where: str) -> Document:
    document = _make(Document, content, where, {"sources": _list_of(_remote)})
    named = (replace(source, name=document.name) for source in document.sources)
    return replace(document, sources=tuple(named))


def _way(content: Any, where: str) -> tuple[Remote, ...]:
    return _list_of(_remote)(content if isinstance(content, list) else [content], where)


def _remote(content: Any, where: str) -> Remote:
    return _make(Remote, {"address": content} if isinstance(content, str) else content, where, {})


def _simple(cls: type) -> Callable[[Any, str], Any]:
    return lambda content, where: _make(cls, content, where, {})


def _list_of(make: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, ...]]:
    def make_all(content: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(content, list):
            raise DatasetError(f"{where} is {content!r:.80}, expected a list")
        return tuple(make(item, f"{where}, number {i}") for i, item in enumerate(content, start=1))

    return make_all


def _make(cls: Any, content: Any, where: str, makers: dict[str, Callable[[Any, str], Any]]) -> Any:
    """An object of a data class from a mapping; what is no mapping of its fields is named."""
    known = {f.name: f for f in fields(cls)}
    if not isinstance(content, dict):
        raise DatasetError(f"{where} is {content!r:.80}, expected some of {', '.join(known)}")
    values = {}
    for key, value in content.items():
        if key not in known:
            raise DatasetError(f"{where}: unknown key {key!r}; there are {', '.join(known)}")
        make = makers.get(key) or _plain(str(known[key].type), key)
        values[key] = make(value, f"{where}: {key}")
    try:
        return cls(**values)
    except TypeError as e:
        raise DatasetError(f"{where}: {e}") from e


def _plain(kind: str, key: str) -> Callable[[Any, str], Any]:
    def make(value: Any, where: str) -> Any:
        wanted = {"str": str, "bool": bool, "int | None": int}.get(kind)
        if wanted:
            if type(value) is not wanted:
                raise DatasetError(f"{where} is {value!r:.80}, expected {_WORDS[wanted]}")
            digits = _DIGITS.get(key)
            if digits and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                raise DatasetError(f"{where} is {value!r:.80}, expected {digits} digits of 0-9a-f")
            return value
        of = int if "int" in kind else str
        if not isinstance(value, list) or any(type(item) is not of for item in value):
            raise DatasetError(f"{where} is {value!r:.80}, expected a list of {_WORDS[of]}")
        return tuple(value)

    return make


_WORDS = {str: "text", bool: "true or false", int: "whole numbers"}
