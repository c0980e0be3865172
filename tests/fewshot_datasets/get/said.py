"""What the command said and left."""

from __future__ import annotations

from pathlib import Path


def visible(root: Path) -> list[str]:
    """All that lies in the data root, but the folder of what is not finished."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if ".get" not in p.parts)


def line(capsys, word: str) -> str:
    """The one line that has the word."""
    captured = capsys.readouterr()
    (found,) = {text for text in (captured.out + captured.err).splitlines() if word in text}
    return found
