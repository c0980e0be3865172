"""What `multimode-ot explain` left in the folders of runs."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .page import inline_image
from .runs import Run

PLACE = Path("explain", "explain.json")
_PNG = b"\x89PNG\r\n\x1a\n"
PIXELS = 50_000_000  # of a picture
FACTS = 60  # numbers of one run
PICTURES = 24  # of a report, at most


@dataclass
class Explanations:
    """Takes explanations into a report.

    Attributes:
        left: pictures that may still be taken.
    """

    left: int = PICTURES

    def of(self, run: Run) -> dict[str, Any] | None:
        """The remarks, pictures and numbers for a run; None where it was not explained."""
        try:
            content = _read(run.folder / PLACE)
        except ValueError as error:
            return {"remarks": [f"{error}."], "figures": [], "facts": []}
        if content is None:
            return None
        remarks = [str(remark) for remark in _list(content, "remarks")]
        figures, left_out, lost = [], 0, 0
        for image, figure in _figures(content):
            if not self.left:
                left_out += 1
                continue
            name = str(figure.get("file", ""))
            picture = _picture(run.folder / PLACE.parent, name)
            if picture is None:
                lost += 1
                continue
            self.left -= 1
            title = ": ".join(filter(None, (image, str(figure.get("title") or ""))))
            figures.append((inline_image(picture), str(figure.get("alt") or title or name), title))
        if left_out:
            remarks.append(f"{left_out} more pictures are in {run.place / PLACE.parent}.")
        if lost:
            remarks.append(f"{lost} pictures are missing there, or are no PNG files of its own.")
        keys = ("statistics", "diversity", "words")
        facts = [fact for key in keys for fact in _flat(content.get(key), key)]
        if len(facts) > FACTS:
            remarks.append(f"The first {FACTS} of {len(facts)} numbers; {PLACE.name} has all.")
        return {"remarks": remarks, "figures": figures, "facts": facts[:FACTS]}


def _read(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged: it holds a {type(content).__name__}")
    return content


def _figures(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pictures of an explanation, with the image that each is of."""
    yield from (("", f) for f in _list(content, "figures") if isinstance(f, dict))
    for image in _list(content, "images"):
        if isinstance(image, dict):
            for figure in _list(image, "figures"):
                if isinstance(figure, dict):
                    yield str(image.get("path", "")), figure


def _list(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    return value if isinstance(value, list) else []


def _picture(folder: Path, name: str) -> bytes | None:
    """A PNG file in a folder itself; None for anything else.

    The page may go to others, so nothing that lies elsewhere gets into it: not by a path and not by
    a link; nor what swells to more than `PIXELS`.
    """
    file = folder / Path(name).name
    try:
        if folder.is_symlink() or file.is_symlink() or not file.is_file():
            return None
        content = file.read_bytes()
    except (OSError, ValueError):  # names that cannot be
        return None
    if len(content) < 24 or not content.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", content[16:24])
    return content if width * height <= PIXELS else None


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """What is nested in JSON as pairs of a name and a text; words with their distances."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}")
    elif isinstance(value, list) and value and all(_is_word(each) for each in value):
        yield name, ", ".join(f"{w['text']} ({w['distance']:.3f})" for w in value)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for i, inner in enumerate(value, 1):
            yield from _flat(inner, f"{name} {i}")
    elif value is not None:
        texts = value if isinstance(value, list) else [value]
        yield name, ", ".join(f"{t:.4g}" if isinstance(t, float) else str(t) for t in texts)


def _is_word(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("distance"), float) and "text" in value
