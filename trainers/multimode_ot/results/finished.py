"""The results of a finished run, held against what its folder says besides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..files import require_folder
from .fields import check_fields
from .provenance import describe, differences
from .records import check_record
from .results_json import FILE_NAME, read_results
from .run_folder import RunFolder


def results_of_run(directory: str | os.PathLike) -> dict[str, Any]:
    """The content of its `results.json`, with what it is made of in `made_of`.

    Raises:
        FileNotFoundError: no such folder, or one without results: the run is not finished.
        ValueError: results of an earlier version, which do not say what they are made of, of
            another form, or other than `run.json` says.
    """
    directory = Path(directory)
    file = require_folder(directory, "RUN") / FILE_NAME
    if not directory.is_dir():
        raise FileNotFoundError(f"RUN {directory}: there is no such folder")
    if not file.is_file():
        started = RunFolder(directory).read() is not None
        reason = "its run is not finished" if started else "it is no folder of a run"
        raise FileNotFoundError(f"{directory} has no {FILE_NAME}: {reason}")
    results = read_results(file)
    record = results.get("made_of")
    if not isinstance(record, dict) or not {"settings", "classes", "backbone"} <= set(record):
        raise ValueError(
            f"{file} does not say what its run is made of, as it is of an earlier version: run it "
            "again"
        )
    check_fields({**results, "path": file})
    check_record(record, file)
    _check_places(results, file)
    found = differences(RunFolder(directory).read() or record, record)
    if found:
        raise ValueError(f"run.json beside {file} is of another run: {describe(found)}")
    return results


def _check_places(results: dict[str, Any], file: Path) -> None:
    places = results.get("places", {})
    if not isinstance(places, dict):
        raise ValueError(f"{file}: places is {places!r}, not an object")
    for name, place in places.items():
        if not isinstance(place, str | None):
            raise ValueError(f"{file}: places.{name} is {place!r}, not a path")
