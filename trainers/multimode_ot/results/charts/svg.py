"""A chart as SVG that is part of a page, and as a file of its own."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from .style import COLOURS, Chart, drawing

ENDINGS = (".svg", ".png", ".pdf")
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_NAMESPACE = re.compile(r"\{[^}]*\}")
_REFERENCE = re.compile(r"#([\w.-]+)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_DRAWN = {"svg", "g", "path", "use", "text", "tspan", "rect", "defs", "clipPath", "pattern"}


def inline_svg(chart: Chart, ident: str) -> str:
    """An `<svg>` for a page: text is text, colours are the page's, ids start with `ident`."""
    stream = io.BytesIO()
    with drawing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that Matplotlib's font lacks; a browser has them
        import matplotlib

        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": ident}):
            chart.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    box = root.get("viewBox", "")
    _tidy(root, ident, _references(root))
    root.attrib = {"viewBox": box, "role": "img", "aria-labelledby": f"{ident}-t {ident}-d"}
    for place, (name, words) in enumerate((("title", chart.title), ("desc", chart.alt))):
        element = ElementTree.Element(name, {"id": f"{ident}-{name[0]}"})
        element.text = "".join(c if c.isprintable() else "�" for c in words)
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _references(root: ElementTree.Element) -> set[str]:
    return {
        name
        for element in root.iter()
        for key, value in element.attrib.items()
        if key != "id"
        for name in _REFERENCE.findall(value)
    }


def _tidy(element: ElementTree.Element, ident: str, wanted: set[str]) -> None:
    """Without what a page needs not: namespaces, metadata, ids nobody names, empty groups."""
    element.tag = _NAMESPACE.sub("", element.tag)
    element.tail = None
    if element.tag not in ("text", "tspan"):
        element.text = None
    element.attrib = dict(_attributes(element, ident, wanted))
    children: list[ElementTree.Element] = []
    for child in list(element):
        if _NAMESPACE.sub("", child.tag) not in _DRAWN:
            continue
        _tidy(child, ident, wanted)
        if child.tag == "g" and not child.attrib:
            children += child
        elif child.tag not in ("g", "defs") or len(child):
            children.append(child)
    element[:] = children


def _attributes(
    element: ElementTree.Element, ident: str, wanted: set[str]
) -> Iterator[tuple[str, str]]:
    style = element.get("style", "")
    for key, value in element.attrib.items():
        key = _NAMESPACE.sub("", key)
        if key == "id":
            if value in wanted:
                yield key, f"{ident}-{value}"
        elif key == "fill":  # which takes no variable
            style = f"fill: {value}; {style}"
        elif key == "transform" and value.startswith("rotate(-0 "):
            continue
        elif key in ("href", "clip-path"):
            yield key, _REFERENCE.sub(rf"#{ident}-\1", value)
        elif key == "d":
            yield key, " ".join(_short(value).split())
        elif key != "style":
            yield key, _short(value)
    if style:
        yield "style", _page_style(style, ident)


def _page_style(style: str, ident: str) -> str:
    style = _FONT.sub("", style)
    style = re.sub(r"url\(#([\w.-]+)\)", rf"url(#{ident}-\1)", style)
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: _VARIABLES.get(m[0], m[0]), style)


def _short(text: str) -> str:
    return _NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)


def require_ending(file: str | os.PathLike) -> Path:
    """Raise `ValueError` unless a chart can be written as such a file."""
    path = Path(file)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"--out {path}: a chart is written as one of {', '.join(ENDINGS)}")
    return path


def unknown_letters(chart: Chart) -> str:
    """Letters that the font of a chart's file lacks, which has boxes in their place."""
    with drawing():
        from matplotlib.font_manager import FontProperties, findfont, get_font
        from matplotlib.text import Text

        known = get_font(findfont(FontProperties())).get_charmap()
        texts = [text.get_text() for text in chart.figure.findobj(Text)]
    return "".join(sorted({c for c in "".join(texts) if c != "\n" and ord(c) not in known}))


def save(chart: Chart, file: str | os.PathLike) -> Path:
    """Write a chart for a paper, whole or not at all; letters are shapes or embedded fonts.

    Raises:
        ValueError: an ending that is not one of `ENDINGS`.
        OSError: a place that cannot be written; nothing is left of the attempt.
    """
    path = require_ending(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    kind = path.suffix.lower()[1:]
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    try:
        with drawing(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            import matplotlib

            with matplotlib.rc_context({"svg.hashsalt": path.name}):
                chart.figure.savefig(partial, format=kind, dpi=300, metadata=undated)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
