"""Web pages and error messages that come where a file was asked for."""

from __future__ import annotations

import html
import re
from pathlib import PurePosixPath

HEAD = 65536  # bytes of a file that are looked at
# Bounded everywhere: the head of a hostile file must not take minutes.
_HTML = re.compile(
    r"(<\?xml[^>]{0,200}>\s*)?(<!--((?!-->).)*-->\s*)*<(!doctype html|html|head|body)\b",
    re.S | re.I,
)
_TITLE = r"<title[^>]{0,200}>(.{0,500}?)</title>"
_XML_SAYS = r"<(?:Message|Code)>(.{0,500}?)</"
_JSON_SAYS = r'"(?:message|error)"\s{0,9}:\s{0,9}"(.{0,500}?)"'
_TEXTS = {".json", ".txt", ".csv", ".xml", ".yaml", ".yml", ".md"}


def page_instead(head: bytes, name: str) -> str:
    """What `head`, the first bytes of a file called `name`, is instead of such a file, or "".

    Drives, portals and servers that have moved answer with a page and a status that says all is
    well; its title says more.
    """
    suffix = PurePosixPath(name.lower()).suffix
    text = head[:HEAD].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if _HTML.match(text):
        return "" if suffix in (".html", ".htm") else f"a web page{_first(text, _TITLE)}"
    if suffix in _TEXTS:
        return ""
    if re.match(r"<(\?xml|error)\b", text, re.I):
        return f"an XML message{_first(text, _XML_SAYS)}"
    if re.match(r'(\{\s*["}]|\[\s*[{"\]])', text):
        return f"a JSON message{_first(text, _JSON_SAYS)}"
    return ""


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.S | re.I)
    words = " ".join(html.unescape(found[1]).split()) if found else ""
    return f' ("{words[:120]}")' if words else ""
