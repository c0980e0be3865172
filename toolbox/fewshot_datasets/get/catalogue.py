"""The data sets that can be fetched: what each consists of and where it is to be had.

All of it stands in `sources.yaml` beside this file, whose head explains the form; another file of
that form (`--sources FILE`) adds to it or takes the place of single entries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from fewshot_datasets import PUBLISHED, READERS, DatasetError, FewShotDataset
from fewshot_datasets.files import read_text

SOURCES = Path(__file__).with_name("sources.yaml")
_HEX = {"md5": 32, "sha1": 40, "sha256": 64, "git_blob": 40}


@dataclass(frozen=True)
class Remote:
    """One file that can be fetched, with what is known of its content; "" and None are unknown."""

    address: str  # https://..., hf://..., https://drive.google.com/uc?id=..., or a path
    name: str = ""  # the file's, for addresses that do not end with it
    size: int | None = None  # bytes
    md5: str = ""
    sha256: str = ""
    git_blob: str = ""  # SHA-1 of `blob SIZE\0` and the content
    note: str = ""  # what is known of the address, such as the year of its death

    @property
    def sums(self) -> dict[str, str]:
        """The sums that are known, by name of the algorithm."""
        known = {key: getattr(self, key) for key in ("md5", "sha256", "git_blob")}
        return {key: value for key, value in known.items() if value}


@dataclass(frozen=True)
class Part:
    """A folder or file of a data set, and how it is recognised among others' files.

    Patterns are those of `fnmatch`, for each name of a path with `/`; a folder is the part if its
    own name matches `named`, if it has an entry for each pattern of `holds`, and if the folder
    around it has one for each of `beside`. A file is the part if its name matches `named`.
    """

    goal: str  # below the data set's directory, with `/`
    named: str = "*"
    holds: tuple[str, ...] = ()  # empty: the part is a file
    beside: tuple[str, ...] = ()
    optional: bool = False  # placed where it is found, never asked for


@dataclass(frozen=True)
class Lookalike:
    """What people have of this data set that cannot serve: recognised as a `Part` is."""

    holds: tuple[str, ...]
    because: str
    named: str = "*"


@dataclass(frozen=True)
class Document:
    """A small file that has to be there as it was published: the split, or names of classes."""

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
    sign_up: str = ""  # who asks for one before the archives can be had
    images: int | None = None  # how many there are in all, where no published list says it
    parts: tuple[Part, ...] = ()
    documents: tuple[Document, ...] = ()
    ways: tuple[tuple[Remote, ...], ...] = ()  # each brings all pictures
    by_hand: tuple[Remote, ...] = ()  # what a sign-up is for
    lookalikes: tuple[Lookalike, ...] = ()
    serves: tuple[str, ...] = ()  # what others have that can serve, in words

    @property
    def reader(self) -> type[FewShotDataset]:
        return READERS[self.name]
