"""What a page says of single runs: which there are, and what is in the folder of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..fields import check_fields
from ..log import FILE_NAME as LOG
from ..log import Epochs, epochs_of, last_error, lines_of, machine_of
from ..predictions import Prediction, predictions_beside, read_predictions
from ..results_json import FILE_NAME, read_results
from ..run_folder import FILE_NAME as RECORD
from ..tree import FOLDERS, files_below, heading, is_zero_shot, row_label

_DONE = "Finished training"
_PARTS = {"base2new": "Base to new classes", "fewshot": "Few shots", "evaluation": "Transfers"}
_OTHERS = "Other runs"


@dataclass(frozen=True)
class Run:
    """A finished run: its results, and what lies beside them.

    Attributes:
        place: its folder below the output.
    """

    result: Mapping[str, Any]
    place: Path

    @property
    def folder(self) -> Path:
        return Path(self.result["path"]).parent

    @property
    def part(self) -> str:
        """The heading that it stands under."""
        parts = (*Path(os.path.abspath(self.result["path"])).parent.parts,)
        nearest = next((p for p in reversed(parts) if p in FOLDERS.values()), "")
        return _PARTS.get(nearest, _OTHERS)

    @property
    def name(self) -> str:
        r = self.result
        shots = "" if is_zero_shot(r) or r["shots"] < 0 else heading(r["shots"])
        subset = f"{r['subset']} classes"
        return ", ".join(filter(None, (row_label(r), r["dataset"], subset, shots, self.seed)))

    @property
    def order(self) -> tuple[Any, ...]:
        r = self.result
        return row_label(r).lower(), r["dataset"], max(r["shots"], 0), r["seed"], r["subset"]

    @property
    def seed(self) -> str:
        return f"seed {self.result['seed']}" if self.result["seed"] >= 0 else ""

    @cached_property
    def lines(self) -> list[str]:
        return lines_of(self.folder)

    @cached_property
    def epochs(self) -> Epochs:
        return epochs_of(self.lines)

    @cached_property
    def predictions(self) -> list[Prediction] | None:
        """None if there is no file; `ValueError` for a damaged one."""
        file = predictions_beside(self.result)
        return read_predictions(file, self.result) if file else None

    @property
    def classes(self) -> list[str]:
        return list((self.result.get("made_of") or {}).get("classes") or ())

    def class_name(self, number: int) -> str:
        return self.classes[number] if number < len(self.classes) else f"class {number}"

    @property
    def data_root(self) -> str:
        """Where its images were; "" if that is not recorded."""
        return str((self.result.get("places") or {}).get("data_root") or "")


@dataclass(frozen=True)
class Unfinished:
    """A run without results, and what its log says last."""

    place: Path
    reason: str


def all_runs(output: Path) -> list[Run]:
    """All finished runs below a folder, by method, shots and seed; not those in hidden folders.

    Raises:
        ValueError: a file that is no result; names file and field.
    """
    found = []
    for file in files_below(output, FILE_NAME):
        result = read_results(file) | {"path": str(file)}
        check_fields(result)
        found.append(Run(result, file.parent.relative_to(output)))
    return sorted(found, key=lambda run: run.order)


def places_apart(runs: Iterable[Run]) -> dict[Path, str]:
    """Of runs with the same name, the folders that tell them apart, by their places."""
    named: dict[tuple[str, str], list[Path]] = {}
    for run in runs:
        named.setdefault((run.part, run.name), []).append(run.place)
    found = {}
    for places in named.values():
        shared = set.intersection(*(set(place.parts) for place in places))
        for place in places:
            found[place] = "/".join(part for part in place.parts if part not in shared)
    return found


def unfinished_runs(output: Path) -> list[Unfinished]:
    """Folders of runs that have no results."""
    folders = {f.parent: None for name in (RECORD, LOG) for f in files_below(output, name)}
    return [
        Unfinished(folder.relative_to(output), _why(folder))
        for folder in sorted(folders)
        if not (folder / FILE_NAME).is_file()
    ]


def _why(folder: Path) -> str:
    lines = lines_of(folder)
    if not lines:
        return "it has no log"
    if error := last_error(lines):
        return error
    if _DONE in (line.strip() for line in lines):
        return "it was trained, but not tested"
    epochs = epochs_of(lines).numbers
    return f"its log ends in epoch {epochs[-1]}" if epochs else "its log ends before its training"


def environments(runs: Iterable[Run]) -> list[tuple[str, str, int]]:
    """Versions, machine, and how many runs had both."""
    counted: Counter[tuple[str, str]] = Counter()
    for run in runs:
        versions = run.result.get("versions") or {}
        said = ", ".join(f"{name} {number}" for name, number in versions.items())
        machine = machine_of(run.lines)
        parts = [str(run.result.get("device") or "device not recorded")]
        parts += [f"{name}: {value}" for name, value in machine.items()]
        counted[said or "not recorded", "; ".join(parts)] += 1
    return [(*pair, count) for pair, count in counted.most_common()]
