"""Class names and pictures that are there more than once."""

from __future__ import annotations

import functools
import hashlib
import html
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TypeVar

from .files import counted, named
from .splits import Split

H = TypeVar("H", bound=Hashable)


@functools.cache
def _repair() -> Callable[[str], str]:
    try:
        from ftfy import fix_text  # as CLIP's tokenizer does before anything else
    except ImportError:
        # Rarely more than this comes of it.
        return functools.partial(unicodedata.normalize, "NFC")
    return fix_text


def prompt_words(name: str) -> tuple[str, ...]:
    """The pieces of a class name from which CLIP's tokenizer makes tokens.

    Two names give the same tokens if and only if these are equal: case, underscores, the amount of
    white space, and white space between letters, digits and punctuation make no difference, and
    HTML's `&amp;` is `&`.
    """
    text = html.unescape(html.unescape(_repair()(name.replace("_", " ")))).lower()
    return tuple(re.findall(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\w\s]+|_+", text))


def class_faults(split: Split) -> list[str]:
    """Class names that no prompt can be made of, and those that become one prompt."""
    names = {r.label: r.classname for r in split.train}
    faults = [
        f"the class name {name!r} {fault}" for name in names.values() if (fault := _no_prompt(name))
    ]
    groups = _groups((prompt_words(name), name) for name in names.values())
    same = [" = ".join(map(repr, sorted(group))) for group in groups]
    if same:
        faults.append(f"these class names become one prompt: {named(same)}")
    return faults


def _no_prompt(name: str) -> str | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None if prompt_words(name) else "is empty for a prompt: it has no letter, digit or sign"


def picture_faults(split: Split) -> list[str]:
    """Paths in more than one of the lists."""
    lists = split._asdict().items()
    return [
        f"{counted(len(both), 'picture')} of '{first}' "
        f"{'is' if len(both) == 1 else 'are'} also in '{second}': {named(both)}"
        for (first, records), (second, others) in combinations(lists, 2)
        if (both := sorted({r.path for r in records} & {r.path for r in others}))
    ]


def label_faults(split: Split) -> list[str]:
    """Paths that one list has under several labels."""
    faults = []
    for key, records in split._asdict().items():
        labels: dict[str, int] = {}
        both = sorted({r.path for r in records if labels.setdefault(r.path, r.label) != r.label})
        if both:
            faults.append(f"'{key}' has the same picture in two classes: {named(both)}")
    return faults


def repeated_paths(split: Split) -> list[str]:
    """Paths that one list has several times."""
    texts = []
    for key, records in split._asdict().items():
        repeated = sorted(path for path, n in Counter(r.path for r in records).items() if n > 1)
        if repeated:
            texts.append(
                f"'{key}' lists {counted(len(repeated), 'picture')} more than once: "
                f"{named(repeated)}"
            )
    return texts


def equal_files(split: Split, image_dir: str) -> list[str]:
    """Pictures that are the same byte for byte, within a list and between lists.

    Every file of which another has the size is read. Files that cannot be are passed over.
    """
    listed = sorted({(r.path, key) for key, records in split._asdict().items() for r in records})
    lists: dict[str, list[str]] = defaultdict(list)
    for path, key in listed:
        lists[path].append(key)
    within, between = [], []
    for group in _equal(list(lists), image_dir):
        places = {key for path in group for key in lists[path]}
        text = " = ".join(f"{path} ({', '.join(lists[path])})" for path in group)
        (between if len(places) > 1 else within).append(text)
    texts = []
    for groups, where in ((between, "in more than one split"), (within, "twice within a split")):
        if groups:
            times = counted(len(groups), "picture")
            texts.append(f"{times}, the same byte for byte, {where}: {named(groups)}")
    return texts


def _equal(paths: Sequence[str], image_dir: str) -> list[list[str]]:
    def size(path: str) -> int | None:
        try:
            return os.stat(os.path.join(image_dir, path)).st_size
        except (OSError, ValueError):
            return None

    def digest(path: str) -> bytes | None:
        try:
            with open(os.path.join(image_dir, path), "rb") as f:
                return hashlib.sha256(f.read()).digest()
        except OSError:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        by_size = _groups(zip(pool.map(size, paths), paths, strict=True))
        alike = [path for group in by_size for path in group]
        return _groups(zip(pool.map(digest, alike), alike, strict=True))


def _groups(pairs: Iterable[tuple[H | None, str]]) -> list[list[str]]:
    """The values that share a key with others, without those of the key None."""
    groups: dict[H, list[str]] = defaultdict(list)
    for key, value in pairs:
        if key is not None:
            groups[key].append(value)
    return [group for group in groups.values() if len(group) > 1]
