"""Does the plan matter? MultiModeOT's alignments, heads and betas, run and put into one table.

Settings from the environment: BETAS (1; of the alignments that weigh two levels), SEEDS (1 2 3),
SHOTS (16), PROTOCOL (base2new, fewshot), and JOBS (1), besides those of jobs.py and runs.py. A
call's KEY VALUE pairs hold for all cells.

Runs lie below OUTPUT/ablation, a folder for each cell of the table; in it they lie as those of the
protocol do. The tables are OUTPUT/ablation/PROTOCOL.md, .csv and .json.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablation_cells import METHOD, PLACE, Cell, against, cells
from comparison import run_missing
from fewshot_datasets.check import config_name
from jobs import Job, output_root
from multimode_ot.config import require_known
from multimode_ot.errors import STATUS
from multimode_ot.files import write_whole
from multimode_ot.results.results_json import FILE_NAME, read_results
from preparation import require_data
from protocol_runs import DEMO, is_whole, numbers, runs_of, words_of
from runs import Run

PROTOCOLS = ("base2new", "fewshot")
STYLES = {"markdown": "md", "csv": "csv", "json": "json"}
VARIED = ("ALIGNMENT", "HEAD", "BETA")


def ablate(words: Sequence[str]) -> None:
    """Run what is missing of the ablation, then print and write its table."""
    protocol = os.environ.get("PROTOCOL") or "base2new"
    require_known("PROTOCOL", protocol, PROTOCOLS)
    betas, seeds = betas_asked_for(), numbers("SEEDS", "1 2 3")
    shots, *more = numbers("SHOTS", "16", smallest=-1)
    if more:
        raise ValueError(f"SHOTS={os.environ['SHOTS']}: ablate.sh takes one number")
    dataset, options = dataset_and_options(words)
    rows = cells(betas)
    jobs = {
        (cell, seed): Job(
            protocol,
            METHOD,
            seed,
            dataset,
            shots,
            (*cell.options, *options),
            common_backbone=True,
            place=cell.place(protocol),
        )
        for seed in seeds  # all cells of a seed come before those of the next
        for cell in rows
        if cell.defined
    }
    for job in jobs.values():
        job.check()
    require_data([dataset], protocol)
    runs = {key: runs_of(job) for key, job in jobs.items()}
    failed = run_missing(list(runs.values()))
    write_tables(protocol, rows, betas, runs)
    if failed:
        raise SystemExit(STATUS)


def betas_asked_for() -> list[float]:
    found = []
    for word in words_of("BETAS", "1"):
        try:
            beta = float(word)
        except ValueError:
            beta = math.nan
        if not 0 <= beta < math.inf:
            raise ValueError(f"BETAS={os.environ['BETAS']}: {word!r} is no number from 0")
        found.append(beta)
    return list(dict.fromkeys(found))


def dataset_and_options(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The data set of a call, and its KEY VALUE pairs."""
    named = [word for word in words[:1] if word == word.lower()]
    options = tuple(words[len(named) :])
    if any(word == word.lower() and not is_whole(word) for word in options[:1]):
        raise ValueError(f"{' '.join(words)}: ablate.sh takes one DATASET, then KEY VALUE pairs")
    for key in options[::2]:
        if key in [f"TRAINER.{METHOD.upper()}.{name}" for name in VARIED]:
            raise ValueError(f"{key} is what the ablation varies: BETAS chooses its betas")
    return config_name(named[0]) if named else DEMO, options


def write_tables(
    protocol: str,
    rows: Sequence[Cell],
    betas: Sequence[float],
    runs: dict[tuple[Cell, int], list[Run]],
) -> None:
    """Print and write the table of all runs that are finished."""
    from multimode_ot.results.ablation import AblationRow, ablation_records, render_ablation
    from plan_files import plan_statistics_of

    results: list[dict[str, Any]] = []
    for (cell, _), group in runs.items():
        for run in group:
            file = run.directory / FILE_NAME
            if file.is_file():
                found = {"method": cell.label, "path": str(file), "plans": plan_statistics_of(run)}
                results.append(read_results(file) | found)
    if not results:  # and each run has said why
        return
    described = [
        AblationRow(c.label, c.alignment, c.head, c.beta, c.defined, against(c, betas).label)
        for c in rows
    ]
    records = ablation_records(described, results, protocol)
    folder: Path = output_root() / PLACE
    for style, ending in STYLES.items():
        text = render_ablation(records, style)
        write_whole(folder / f"{protocol}.{ending}", lambda s, t=text: s.write(t + "\n"))
    print("\n" + render_ablation(records, "table"))
    print(f"\nWritten to {folder} as {protocol}.md, .csv and .json")
