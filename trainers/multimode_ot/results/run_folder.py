"""An output folder and the run that it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_json
from .provenance import describe, differences
from .records import check_record
from .results_json import FILE_NAME as RESULTS
from .results_json import read_results

FILE_NAME = "run.json"


class RunFolder:
    """The `run.json` of an output folder.

    Args:
        directory: the output folder; need not exist.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self.path = self.directory / FILE_NAME

    def is_used(self, checkpoints: str) -> bool:
        """Whether there are results, or files below the folder `checkpoints`."""
        below = self.directory / checkpoints
        return (self.directory / RESULTS).is_file() or (below.is_dir() and any(below.iterdir()))

    def read(self) -> dict[str, Any] | None:
        """The record of the run that the folder holds, None if it has none.

        Where `run.json` was removed, the record in `results.json` stands.

        Raises:
            ValueError: a file that is no record, or no results file.
        """
        if not self.path.is_file():
            results = self.directory / RESULTS
            return read_results(results).get("made_of") if results.is_file() else None
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.path} is not a run's record: {error}") from None
        if not isinstance(record, dict) or "method" not in record:
            raise ValueError(f"{self.path} is not a run's record: it names no method")
        check_record(record, self.path)
        return record

    def claim(self, record: Mapping[str, Any], used: bool) -> None:
        """Write the record, unless the folder holds another run.

        Args:
            used: whether there are checkpoints or results in the folder. One that was stopped
                before it had any is replaced, if not even its data stands in its record.

        Raises:
            ValueError: it does; what differs is named, with both values.
        """
        held = self.read()
        if held is not None and (used or "data" in held):
            found = differences(held, record)
            if found:
                raise ValueError(
                    f"{self.directory} holds another run: {describe(found)}. Choose another output "
                    "folder, or remove this one"
                )
            record = {**held, **record}
        write_json(self.path, record)
