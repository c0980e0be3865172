"""Sentences that describe classes, from JSON files: an object, class name -> list of sentences.

Every class has the same number of sentences. Keys are class names with spaces for underscores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..backbone.class_tokens import readable, tokenize
from ..config import Check

SHIPPED = Path(__file__).parent / "described"  # of this project's own words, for its demo
# What the authors of CoPrompt call the files of data sets, where that is no part of the name.
_ALIASES = {"describabletextures": "dtd"}
WANTED = "a JSON object, class name -> list of sentences, as many for each class"
AUTHORS = "gpt_file/*_prompt.json of github.com/ShuvenduRoy/CoPrompt"


def require_file(check: Check, key: str, dataset: str | None) -> Path:
    """The file that a setting names; `ValueError` with the key if there is none."""
    named = check.settings[key]
    if not named:
        check.refuse(
            key,
            f"training needs descriptions of the classes: {WANTED}; the file's path, or a folder "
            f"with one for each data set. The authors' files are {AUTHORS}",
        )
    try:
        return find_file(named, dataset)
    except (OSError, ValueError) as error:
        check.refuse(key, str(error))


def find_file(named: str, dataset: str | None) -> Path:
    """The file that a setting means: a shipped one by its bare name, whatever lies in the working
    directory; else a file, or the one of a data set in a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: several in a folder fit the data set.
    """
    shipped = sorted(file.stem for file in SHIPPED.glob("*.json"))
    path = Path(named).expanduser()
    if named in shipped:
        return SHIPPED / f"{named}.json"
    if path.is_file():
        return path
    if path.is_dir():
        return _of_dataset(path, dataset or "")
    raise FileNotFoundError(
        f"there is no such file or folder (nor is it one that is shipped: {', '.join(shipped)})"
    )


def _of_dataset(folder: Path, dataset: str) -> Path:
    """`dtd_prompt.json`, `oxford_pets.json` and the like: by a name, or a part of it."""
    name = _letters(dataset)
    wanted = {name, _ALIASES.get(name, name)}
    files = {f: _letters(f.stem.removesuffix("_prompt")) for f in sorted(folder.glob("*.json"))}
    exact = [f for f, name in files.items() if name in wanted]
    parts = [f for f, name in files.items() if name and any(name in w for w in wanted)]
    found = exact or parts
    there = ", ".join(f.name for f in files) or "no JSON file"
    if not found:
        raise FileNotFoundError(f"no file in it is named after {dataset or 'no data set'}: {there}")
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise ValueError(f"several files in it may be those of {dataset}: {names}; name one")
    return found[0]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_descriptions(
    file: Path, classnames: Sequence[str], context_length: int
) -> list[tuple[str, ...]]:
    """The descriptions of `K` classes: `P` tuples, each with one sentence a class.

    Raises:
        OSError: a file that cannot be read.
        ValueError: it is no such object, lacks classes, or has a sentence that does not fit the
            text encoder's context.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}): it must be {WANTED}") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{file} holds a {type(content).__name__}, not {WANTED}")
    described = {readable(name): _sentences(file, name, list_) for name, list_ in content.items()}
    first, *others = described
    for name in others:
        if len(described[name]) != len(described[first]):
            raise ValueError(
                f"{file} has {len(described[first])} sentences on {first!r} and "
                f"{len(described[name])} on {name!r}: it must have as many for each class"
            )
    missing = [name for name in classnames if readable(name) not in described]
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise ValueError(
            f"{file} describes {len(described)} classes, but not {len(missing)} of these "
            f"{len(classnames)}: {shown}"
        )
    rows = [described[readable(name)] for name in classnames]
    try:
        tokenize([sentence for row in rows for sentence in row], context_length)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return list(zip(*rows, strict=True))


def _sentences(file: Path, name: str, sentences: Any) -> list[str]:
    good = isinstance(sentences, list) and sentences
    if not good or not all(isinstance(s, str) and s.strip() for s in sentences):
        raise ValueError(f"{file}: what it has for {name!r} is no list of sentences")
    return sentences
