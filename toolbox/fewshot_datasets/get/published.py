"""Is a file the published one? By its bytes, else by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from fewshot_datasets import DatasetError
from fewshot_datasets.imagenet import read_classnames
from fewshot_datasets.splits import Split, read_split

from .catalogue import Document
from .errors import SourceError


def verify(path: Path, document: Document) -> str:
    """How `path` is the published document: "" for the same bytes, else a remark about it.

    Where the bytes differ, the parsed content is written anew in the form of the published files
    and that is compared, so a copy with other white space, escapes or line ends is recognised by
    the same sum. Raises SourceError, with what differs, for any other file.
    """
    if not document.name.endswith(".json"):
        return _verify_names(path, document)
    content = _bytes(path)
    if _is_published(content, document):
        return ""
    try:
        split = read_split(path)
    except DatasetError as e:
        raise SourceError(f"{path} is not the published {document.name}: {e}") from e
    if any(_is_published(text, document) for text in _rewritten(split)):
        return f"{document.name} has other bytes than the published file, and the same content"
    sizes = tuple(len(records) for records in split)
    if not _sums(document) and sizes == document.sizes:
        return f"no sum of {document.name} is known; it has as many images as the published one"
    raise SourceError(
        f"{path} is not the published {document.name}: {_difference(sizes, document)}; "
        "a split made anew is another benchmark"
    )


def _verify_names(path: Path, document: Document) -> str:
    try:
        names = read_classnames(path)
    except DatasetError as e:
        raise SourceError(f"{path} is not the published {document.name}: {e}") from e
    if document.sizes and len(names) != document.sizes[0]:
        raise SourceError(
            f"{path} is not the published {document.name}: it names {len(names):,} classes, "
            f"the published one {document.sizes[0]:,}"
        )
    return ""


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise SourceError(f"cannot read {path} ({e.strerror or e})") from e


def _is_published(content: bytes, document: Document) -> bool:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    sums = {"sha256": hashlib.sha256(content).hexdigest(), "git_blob": blob}
    known = _sums(document)
    return bool(known) and all(sums[key] == value for key, value in known.items())


def _sums(document: Document) -> dict[str, str]:
    sums = {"sha256": document.sha256, "git_blob": document.git_blob}
    return {key: value for key, value in sums.items() if value}


def _rewritten(split: Split) -> Iterator[bytes]:
    """The content as the ecosystem's own writer writes it, and as others do.

    The sums are of one copy, and it is not known which writer that is of.
    """
    for indent, separators in ((4, (",", ": ")), (None, (", ", ": ")), (None, (",", ":"))):
        for escaped in (True, False):
            text = json.dumps(
                split._asdict(), indent=indent, separators=separators, ensure_ascii=escaped
            )
            for end in ("", "\n"):
                yield (text + end).encode("utf-8", "surrogatepass")


def _difference(sizes: tuple[int, ...], document: Document) -> str:
    counts = " / ".join(f"{n:,}" for n in sizes)
    if sizes == document.sizes:
        return f"it lists as many images, {counts}, but not the same ones"
    wanted = " / ".join(f"{n:,}" for n in document.sizes) or "unknown"
    return f"it lists {counts} images to train, validate and test on, the published one {wanted}"
