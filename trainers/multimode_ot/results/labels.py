"""Labels of pictures as a table, CSV or JSON, line by line, so that any number can stream."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# What is called confidence wherever a picture is labelled.
CONFIDENCE = (
    "softmax, over the classes that a picture could get, of the logits at the scale that the method"
    " was tested with"
)


class Labelled(NamedTuple):
    """A picture's path and its most probable classes, best first, each with its confidence."""

    path: str
    classes: Sequence[tuple[str, float]]


@dataclass
class Labels:
    """What is known of some pictures.

    Attributes:
        rows: the pictures, perhaps made while they are asked for.
        top: how many classes each has.
        longest: characters of the longest path, for the table.
        classes: all that a picture could have got.
        about: what else there is to say of the whole, by name.
        notes: the same in sentences.
        unreadable: paths of pictures that could not be read, and why; complete when the rows have
            been asked for.
    """

    rows: Iterable[Labelled]
    top: int
    longest: int
    classes: Sequence[str]
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    unreadable: Sequence[tuple[str, str]] = ()


def printable(text: str) -> str:
    """On one line: control characters and bytes that are no text become escapes."""
    unprintable = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
    return re.sub(unprintable, lambda c: c[0].encode("unicode_escape").decode(), text)


def columns(top: int) -> list[str]:
    """`path, class, confidence, class_2, confidence_2, ...`"""
    more = [f"{name}_{i}" for i in range(2, top + 1) for name in ("class", "confidence")]
    return ["path", "class", "confidence", *more]


def table(labels: Labels) -> Iterator[str]:
    """Aligned columns, and the notes below them."""
    longest_name = max(len(printable(name)) for name in labels.classes)
    longest = [labels.longest, *[longest_name, len("0.1234")] * labels.top]
    names = columns(labels.top)
    widths = [max(size, len(name)) for size, name in zip(longest, names, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (printable(cell).ljust(size) for cell, size in zip(cells, widths, strict=True))
        return "  ".join(aligned).rstrip() + "\n"

    yield line(names)
    yield line(["-" * size for size in widths])
    for row in labels.rows:
        yield line(_cells(row, 4))
    yield "\n" + "".join(f"{note}\n" for note in labels.notes)


def comma_separated(labels: Labels) -> Iterator[str]:
    """CSV; a path's bytes that are no text stay what they are (surrogate escapes)."""
    yield _csv_line(columns(labels.top))
    for row in labels.rows:
        yield _csv_line(_cells(row, 6))


def _cells(row: Labelled, digits: int) -> list[str]:
    pairs = [(name, f"{confidence:.{digits}f}") for name, confidence in row.classes]
    return [row.path, *(cell for pair in pairs for cell in pair)]


def _csv_line(cells: Sequence[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue()


def as_json(labels: Labels) -> Iterator[str]:
    """One object: what there is to say of the whole, then `pictures`, one a line, and `unreadable`.

    A path's byte that is no text is written `\\udcXX`, as Python reads it.
    """
    about = "".join(f"  {_json(name)}: {_json(value)},\n" for name, value in labels.about.items())
    yield "{\n" + about + '  "pictures": ['
    before = "\n"
    for row in labels.rows:
        found = [{"class": name, "confidence": round(p, 6)} for name, p in row.classes]
        yield f"{before}    {_json({'path': row.path, 'classes': found})}"
        before = ",\n"
    unreadable = [{"path": path, "reason": reason} for path, reason in labels.unreadable]
    yield f'\n  ],\n  "unreadable": {_json(unreadable)}\n}}\n'


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(r"[\ud800-\udfff]", lambda c: f"\\u{ord(c[0]):04x}", text)


FORMS: dict[str, Callable[[Labels], Iterator[str]]] = {
    "table": table,
    "csv": comma_separated,
    "json": as_json,
}
