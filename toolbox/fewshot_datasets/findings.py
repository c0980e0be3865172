"""What a check of a data set finds, and the table of it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fewshot_datasets import READERS
from fewshot_datasets.files import printable
from fewshot_datasets.splits import Split

MAX_SHOWN = 10  # problems of one data set in the table


@dataclass
class Finding:
    """What is known of one data set after a check."""

    name: str  # of the config file
    directory: str
    found: bool = False
    images: tuple[int, int, int] | None = None  # train, val, test
    classes: int | None = None
    smallest: tuple[int, str] | None = None  # images to train on in the smallest class; its name
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{self.name}: {text}" for text in self.problems + self.notes]
        if not self.usable:
            hints = READERS[self.name].hints(Path(os.path.abspath(self.directory)).parent)
            lines.append(f"{self.name}: {hints}")
        return "\n".join(lines)


def table(findings: Sequence[Finding]) -> str:
    """The findings as text; the remarks are problems, then notes."""
    from tabulate import tabulate

    headers = ("data set", "found", "usable", *Split._fields)
    headers += ("classes", "smallest", "remarks", "layout: python -m pydoc ...")
    rows = [
        (
            f.name,
            _yes(f.found),
            _yes(f.usable),
            *([f"{n:,}" for n in f.images] if f.images else [""] * 3),
            "" if f.classes is None else f"{f.classes:,}",
            _wrap(printable(f"{f.smallest[0]:,} ({f.smallest[1]})"), 20) if f.smallest else "",
            "\n".join(_wrap(text) for text in _remarks(f)),
            READERS[f.name].__module__,
        )
        for f in findings
    ]
    align = ("left", "left", "left", "right", "right", "right", "right", "left", "left", "left")
    return tabulate(rows, headers, colalign=align, disable_numparse=True)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _remarks(finding: Finding) -> list[str]:
    shown, hidden = finding.problems[:MAX_SHOWN], finding.problems[MAX_SHOWN:]
    return shown + ([f"... and {len(hidden):,} more"] if hidden else []) + finding.notes


def _wrap(text: str, width: int = 60) -> str:
    # Paths stay whole, so that they can be copied.
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
