"""A whole comparison: what is missing of it is run, and its table printed and written.

Settings from the environment: METHODS, SEEDS (1 2 3), SHOTS (16), PROTOCOL (base2new, fewshot,
cross_dataset, domain), and JOBS (1; of several runs at the same time, what they print stands in
their logs alone), besides those of jobs.py and runs.py.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from fewshot_datasets import READERS
from fewshot_datasets.check import config_name
from jobs import Job, method_and_options, no_new_classes, output_root
from multimode_ot.config import require_known
from multimode_ot.errors import STATUS
from multimode_ot.files import write_whole
from multimode_ot.results.tree import FOLDERS
from preparation import prepare, require_data
from protocol_runs import (
    DEMO,
    IMAGENET_VARIANTS,
    TARGETS,
    numbers,
    runs_of,
    source_name,
    trained_job,
    words_of,
)
from runs import Run, RunFailed

COMPARED = ("ZeroshotCLIP", "CoOp", "CoCoOp", "MaPLe", "PLOT", "ALIGN")


def compare(words: Sequence[str], method_files: tuple[str, ...]) -> None:
    """Run what is missing of a whole comparison, then print and write its table.

    Args:
        words: data sets, and behind them KEY VALUE pairs that all runs get. A KEY has a dot.
    """
    count = next((i for i, word in enumerate(words) if "." in word), len(words))
    datasets, changes = words[:count], words[count:]
    protocol = os.environ.get("PROTOCOL") or "base2new"
    require_known("PROTOCOL", protocol, FOLDERS)
    named = words_of("METHODS", " ".join(COMPARED))
    methods = [method_and_options(word, "METHODS") for word in named]
    seeds, shots = numbers("SEEDS", "1 2 3"), numbers("SHOTS", "16", smallest=-1)
    if not datasets:
        datasets = {"cross_dataset": TARGETS, "domain": IMAGENET_VARIANTS}.get(protocol, [DEMO])
    datasets = [config_name(name) for name in datasets]
    jobs = [
        Job(protocol, method, seeds[0], dataset, number, (*options, *changes), True, method_files)
        for dataset in datasets
        for number in shots
        for method, options in methods
    ]
    for job in jobs:
        trained_job(job).check()
    require_data(datasets, protocol)
    jobs = with_classes(jobs) if protocol in ("base2new", "cross_dataset") else jobs
    # All are made before the first is run: what one of them refuses is refused at once.
    groups = [
        runs_of(replace(job, seed=seed)) for job in jobs for seed in (seeds if job.trains else [1])
    ]
    failed = run_missing(groups)
    rows = list(dict.fromkeys(trained_job(job).row for job in jobs))
    try:
        write_tables(protocol, rows, datasets, shots)
    except FileNotFoundError:  # no run has a result, and each has said why
        if not failed:
            raise
    if failed:
        raise SystemExit(STATUS)


def with_classes(jobs: Sequence[Job]) -> list[Job]:
    """Those whose methods can be tested on new classes; of the others, one line each.

    Raises:
        ValueError: there is no other.
    """
    reasons = {job.method: no_new_classes(job.method) for job in jobs}
    said = "\n".join(f"{reason}; left out" for reason in reasons.values() if reason)
    left = [job for job in jobs if not reasons[job.method]]
    if not left:
        raise ValueError(said)
    if said:
        print(said, flush=True)
    return left


def run_missing(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Check all runs, run what is not finished, so many at once as JOBS says; returns a line for
    each group that failed.

    Args:
        groups: runs of which each needs those before it.
    """
    prepare([run for runs in groups for run in runs])
    failed = run_all(groups, numbers("JOBS", "1", smallest=1)[0])
    if failed:
        print("\n".join(failed))
    return failed


def run_all(groups: Sequence[Sequence[Run]], at_once: int) -> list[str]:
    """Run what is missing, the runs of a group in their order; returns what failed.

    Args:
        at_once: groups that are run at the same time, with their part of the processor's cores;
            never two that begin with the same run, as targets of one training do.
    """
    chains: dict[Path, list[Sequence[Run]]] = defaultdict(list)
    for runs in groups:
        chains[runs[0].directory].append(runs)

    def run_group(runs: Sequence[Run]) -> str:
        try:
            for run in runs:
                run.results(at_once)
        except RunFailed as error:
            return str(error)
        return ""

    def run_chain(chain: Sequence[Sequence[Run]]) -> list[str]:
        return [text for runs in chain if (text := run_group(runs))]

    with ThreadPoolExecutor(at_once) as pool:
        try:
            return [text for texts in pool.map(run_chain, chains.values()) for text in texts]
        except BaseException:  # Ctrl-C, which the runs have heard, too, or what a run refuses
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def write_tables(
    protocol: str,
    rows: Sequence[str],
    datasets: Sequence[str],
    shots: Sequence[int],
    name: str = "",
    more: Sequence[str] = (),
    only: Container[Path] | None = None,
) -> None:
    """Print and write the table of a comparison; one for each number of shots, which only the
    few-shot protocol has in one table.

    Args:
        name: of the files, if it is not the protocol's.
        more: further options of `multimode-ot compare`.
        only: folders of the runs that it is made of; None: all that there are.
    """
    from multimode_ot.commands.compare import table

    names = [reader.__name__ for reader in READERS.values()]
    root, folder = output_root(), output_root() / "comparison"
    chosen = ["--protocol", protocol, "--methods", *rows, "--datasets"]
    chosen += [READERS[dataset].__name__ for dataset in datasets]
    if protocol in ("cross_dataset", "domain"):
        chosen += ["--source", source_name()]
    for tabulated in [shots] if protocol == "fewshot" else [[number] for number in shots]:
        options = [str(root), *chosen, "--shots", *map(str, tabulated), *more]
        own = f"_{tabulated[0]}shots" if len(shots) > 1 and protocol != "fewshot" else ""
        file = f"{name or protocol}{own}"
        for style, ending in {"markdown": "md", "csv": "csv", "json": "json"}.items():
            text = table([*options, "--format", style], names, rows, only)
            write_whole(folder / f"{file}.{ending}", lambda s, t=text: s.write(t + "\n"))
        print("\n" + table(options, names, rows, only))
        print(f"\nWritten to {folder} as {file}.md, .csv and .json")
