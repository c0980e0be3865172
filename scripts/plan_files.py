"""What the plans of a finished run say, kept beside its results in `plan.json`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from jobs import data_root
from multimode_ot.files import write_json
from multimode_ot.results.results_json import FILE_NAME, read_results
from runs import Run

if TYPE_CHECKING:
    from torch import Tensor

PLAN_FILE = "plan.json"
VERSION = 1  # of what the file has and how it is computed


def plan_statistics_of(run: Run) -> dict[str, Any]:
    """`explain.statistics.PlanStatistics` of a finished run's test images, as plain data.

    Those of `plan.json`, if it is of the weights that the run's results are of; else they are
    computed, and the file is written.

    Raises:
        OSError, ValueError: the run cannot be rebuilt from its folder.
    """
    weights = read_results(run.directory / FILE_NAME)["weights"]
    file = run.directory / PLAN_FILE
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if (kept["version"], kept["weights"]) == (VERSION, weights):
            return kept["statistics"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, a damaged one, or another version's: all the same
    found = _compute(run)
    write_json(file, {"version": VERSION, "weights": weights, "statistics": found})
    return found


def _compute(run: Run) -> dict[str, Any]:
    from multimode_ot.explain.statistics import plan_statistics
    from multimode_ot.training.finished import FinishedRun

    finished = FinishedRun(run.directory, root=data_root())
    found = plan_statistics(finished.model(), _test_batches(run, finished.results["split"]))
    if found is None:
        raise ValueError(f"{finished.method.name} has no plans to tell anything of")
    return found.as_json()


def _test_batches(run: Run, split: str) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches that the run's evaluation had: its images, in its order and its numbers."""
    from dassl.data import DataManager

    with redirect_stdout(io.StringIO()):
        manager = DataManager(run.cfg)
    for batch in manager.val_loader if split == "val" else manager.test_loader:
        yield batch["img"], batch["label"]
