"""Numbers that others published. None was measured by this project; `published_rows/README.md` says
what the files hold and where it is from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .fields import AVERAGE
from .grid import Column
from .tree import heading

FOLDER = Path(__file__).with_name("published_rows")
# Methods that their sources call otherwise than this project.
OUR_NAMES = {"CLIP": "ZeroshotCLIP", "CLIP-Adapter": "CLIPAdapter"}
# OpenAI's archives by their file names.
_MODELS = "(RN50|RN101|ViT-B-16|ViT-B-32|ViT-L-14)"
_ARCHIVE = re.compile(rf"(?:.*[/\\])?{_MODELS}\.pt|open_clip:{_MODELS}(?:-quickgelu)?/openai")
_TOLD = {"quick_gelu", "64"}  # of bare tensors, if they are OpenAI's
_METRICS = {"base": "base", "new": "new", "h": "H"}
_DOES_NOT_FOLLOW = {"H": "printed H does not follow", AVERAGE: "printed average does not follow"}


class PublishedCell(NamedTuple):
    """One number, in per cent, and how it was made.

    Attributes:
        shots: 0: zero-shot.
        seeds: how many it is a mean over; None where no source says.
        selected_on: images that something was chosen on, "" if nothing was.
        incomparable: why no run of this project has its settings, "" if one may.
        computed: it is a mean of published numbers that was not printed.
    """

    value: float
    shots: int
    seeds: int | None
    selected_on: str
    remark: str
    incomparable: str
    source: str
    computed: bool

    @property
    def chosen_on(self) -> list[str]:
        """The kinds of `selected_on`."""
        return self.selected_on.split(" or ") if self.selected_on else []


@dataclass(frozen=True)
class PublishedRow:
    """The numbers of one method from one hand on one backbone.

    Attributes:
        rerun_by: who ran a method that is not theirs, "" for the method's own paper.
        cells: by column of a table.
    """

    method: str
    rerun_by: str
    backbone: str
    cells: Mapping[Column, PublishedCell]

    @property
    def our_name(self) -> str:
        """The method's name in this project."""
        return OUR_NAMES.get(self.method, self.method)

    @property
    def trained(self) -> bool:
        return any(cell.shots for cell in self.cells.values())

    def label(self, backbones: set[str], shots: set[int]) -> str:
        """How a table names the row: published, by whom, and what the runs of the table differ in.

        Args:
            backbones: of the runs in the table.
            shots: that they were trained with; empty where each has its own column.
        """
        own = {cell.shots for cell in self.cells.values()}
        chosen = sorted({part for cell in self.cells.values() for part in cell.chosen_on})
        said = [
            "published",
            self.rerun_by and f"rerun by {self.rerun_by}",
            self.backbone if backbones != {self.backbone} else "",
            heading(max(own)) if self.trained and shots and shots != own else "",
            f"selected on {' or '.join(chosen)}" if chosen else "",
        ]
        return f"{self.method} ({', '.join(filter(None, said))})"


def backbone_name(result: Mapping[str, Any]) -> str | None:
    """A result's backbone as tables name it: `ViT-B/16` also of a file `ViT-B-16.pt`, unless its
    user told that it is run otherwise than OpenAI's; None where it is not recorded."""
    name = result.get("backbone")
    told = (result.get("made_of") or {}).get("backbone", {}).get("told", {})
    archive = _ARCHIVE.fullmatch(name or "")
    if not archive or not set(",".join(told.values()).split(",")) - {""} <= _TOLD:
        return name
    return re.sub(r"(ViT-.)-", r"\1/", archive[1] or archive[2])


@cache
def published_rows(protocol: str) -> tuple[PublishedRow, ...]:
    """All rows of a protocol, with cells as the file has them.

    Of few-shot files, the numbers of zero-shot methods are in the columns of `zero-shot`.
    """
    found: dict[tuple[str, str, str], dict[Column, PublishedCell]] = {}
    with (FOLDER / f"{protocol}.csv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            key = line["method"], line["rerun_by"], line["backbone"]
            cells = found.setdefault(key, {})
            for metric, value in _values(protocol, line):
                cells[Column(line["dataset"], metric)] = _cell(metric, value, line)
    return tuple(PublishedRow(*key, cells) for key, cells in found.items())


def _values(protocol: str, line: Mapping[str, str]) -> Iterable[tuple[str, float]]:
    if protocol == "base2new":
        return [(metric, float(line[name])) for name, metric in _METRICS.items() if line[name]]
    metric = "accuracy"
    if protocol == "fewshot":
        metric = heading(int(line["shots"])) if int(line["shots"]) else "zero-shot"
    elif line["dataset"] == "ImageNet":
        metric = "source accuracy"
    return [(metric, float(line["accuracy"]))]


def _cell(metric: str, value: float, line: Mapping[str, str]) -> PublishedCell:
    remark, incomparable = line["remark"], line["incomparable"]
    for where, words in _DOES_NOT_FOLLOW.items():
        if where in (metric, line["dataset"]) and remark.startswith(words):
            incomparable = incomparable or remark
    return PublishedCell(
        value,
        int(line["shots"]),
        int(line["seeds"]) if line["seeds"] else None,
        line["selected_on"],
        remark,
        incomparable,
        line["source"],
        remark.startswith("computed"),
    )


@cache
def usual_datasets(protocol: str) -> frozenset[str]:
    """The data sets that published averages of a protocol are over."""
    columns = {column for row in published_rows(protocol) for column in row.cells}
    return frozenset(
        c.dataset for c in columns if c.dataset != AVERAGE and c.metric != "source accuracy"
    )


def published_methods(protocol: str) -> list[str]:
    """The methods with a row of a protocol, by their names here, in the order of the file."""
    return list(dict.fromkeys(row.our_name for row in published_rows(protocol)))


def published_shots(protocol: str) -> list[int]:
    """The numbers of shots that trained rows of a protocol have."""
    cells = (cell for row in published_rows(protocol) for cell in row.cells.values())
    return sorted({cell.shots for cell in cells if cell.shots})
