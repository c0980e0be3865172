"""The evaluation protocols as runs of train.py; the scripts beside this file are its command line.

    python scripts/protocol.py base2new_train METHOD SEED [DATASET] [KEY VALUE ...]

METHOD may have regularisers: CoOp+weight_average. `--method-file my_method.py`, anywhere among the
words and as often as needed, adds a method of one's own.

Settings from the environment: those of jobs.py and runs.py, and SHOTS (16), SOURCE (of
cross-dataset prompts: imagenet); for compare also METHODS, SEEDS (1 2 3), several SHOTS, and
PROTOCOL (base2new, fewshot, cross_dataset, domain); for ablate those of ablation.py. Of methods in
stages: STAGE1_SEED (stages.py).

What a wrong call is told needs nothing heavier than yacs, as far as that goes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import warm
from ablation import ablate
from comparison import compare
from fewshot_datasets.check import config_name
from jobs import Job, method_and_options, no_new_classes
from multimode_ot.config import require_known
from multimode_ot.errors import STATUS, one_line_errors
from multimode_ot.methods import add_method_file
from multimode_ot.results.protocol_tables import few_classes, untrained_classes
from multimode_ot.results.results_json import harmonic_mean
from multimode_ot.results.tree import UNTRAINED_CLASSES, row_label
from preparation import prepare, require_data, require_trained
from protocol_runs import (
    DEMO,
    IMAGENET_VARIANTS,
    TARGETS,
    base2new_runs,
    fewshot_run,
    is_whole,
    numbers,
    side_by_side,
    source_name,
    source_run,
    transfer_run,
)
from runs import Run, RunFailed
from tabulate import tabulate

FEW_SHOTS = (1, 2, 4, 8, 16)
COMMANDS = (
    "base2new_train",
    "base2new_test",
    "fewshot",
    "xd_train",
    "xd_test",
    "dg_test",
    "compare",
    "ablate",
)
TO_NEW_CLASSES = ("base2new_train", "base2new_test", "xd_test")


def base2new_train(job: Job) -> None:
    """Train on base classes, test on base and on new classes, beside zero-shot CLIP."""
    rows, halves = [], []
    for each in side_by_side(job):
        base, new = (run.results() for run in base2new_runs(each))
        halves += [base, new]
        accuracies = base["accuracy"], new["accuracy"]
        time_and_memory = base["seconds"] + new["seconds"], base["peak_memory_mb"]
        rows.append([marked(new), *accuracies, harmonic_mean(*accuracies), *time_and_memory])
    headers = ["method", "base %", "new %", "harmonic mean %", "time s", "peak memory MB"]
    print(f"\n{job.dataset}, {job.shots} shots, seed {job.seed}, {base['backbone']}\n")
    print(tabulate(rows, headers, floatfmt=("", ".2f", ".2f", ".2f", ".0f", ".0f")))
    print_remarks(halves)
    print("\nFiles (log.txt, results.json, checkpoint):")
    for run in base2new_runs(job):
        print(f"  {run.directory}")


def marked(results: Mapping[str, Any]) -> str:
    """The row of a table, with the sign that numbers of untrained classes have in others."""
    return row_label(results) + (UNTRAINED_CLASSES if results.get("new_is_zero_shot") else "")


def print_remarks(results: Sequence[Mapping[str, Any]]) -> None:
    """What has to be said of the numbers of a table."""
    for remark in filter(None, (few_classes(results), untrained_classes(results))):
        print(f"\n{remark}")


def single(run: Run) -> None:
    results = run.results()
    print(f"\n{run.title}: {results['accuracy']:.2f}%, see {run.directory}")
    print_remarks([results])


def fewshot(job: Job, runs: Sequence[Run]) -> None:
    """Train and test on all classes, for each number of shots."""
    rows = []
    for run in runs:
        results = run.results()
        rows.append([run.job.shots, results["accuracy"], results["seconds"], run.directory])
    print(f"\n{marked(results)} on {job.dataset}, seed {job.seed}, {results['backbone']}\n")
    print(tabulate(rows, ["shots", "accuracy %", "time s", "files"], floatfmt=("", ".2f", ".0f")))


def transfer(job: Job, runs: Sequence[Run]) -> None:
    """Test what xd_train trained on each target."""
    found = [run.results() for run in runs]
    rows = [[run.dataset, r["accuracy"], run.directory] for run, r in zip(runs, found, strict=True)]
    rows.append(["mean", sum(row[1] for row in rows) / len(rows), ""])
    print(f"\n{marked(found[-1])}, prompts from {job.dataset}, seed {job.seed}\n")
    print(tabulate(rows, ["data set", "accuracy %", "files"], floatfmt=("", ".2f")))
    print_remarks(found)


def leading(words: list[str], test: Callable[[str], bool]) -> list[str]:
    """Remove and return the first words that pass a test."""
    count = next((i for i, word in enumerate(words) if not test(word)), len(words))
    taken, words[:] = words[:count], words[count:]
    return taken


def taken_out(option: str, words: list[str]) -> tuple[str, ...]:
    """Remove and return the values of an option, wherever it stands."""
    values = []
    while found := [i for i, word in enumerate(words) if word.partition("=")[0] == option]:
        word = words.pop(found[0])
        if "=" not in word and found[0] == len(words):
            raise ValueError(f"{option} has no value: a file")
        values.append(word.partition("=")[2] if "=" in word else words.pop(found[0]))
    return tuple(values)


def main(arguments: Sequence[str]) -> None:
    command, *words = arguments or [""]
    require_known("script", command, COMMANDS)
    if command == "ablate":
        ablate(words)
        return
    files = taken_out("--method-file", words)
    for file in files:
        add_method_file(file)
    method_files = tuple(str(Path(file).expanduser().resolve()) for file in files)
    if command == "compare":
        compare(words, method_files)
        return
    usage = f"usage: bash scripts/{command}.sh METHOD SEED [DATASET] [KEY VALUE ...]"
    if len(words) < 2:
        raise ValueError(usage)
    if not is_whole(words[1]):
        raise ValueError(f"SEED {words[1]!r} is no whole number: {usage}")
    word, seed, *words = words
    method, added = method_and_options(word, "METHOD")
    # A KEY of the options has a dot or capitals; a data set has neither.
    named = leading(words[:1], lambda word: word == word.lower() and not is_whole(word))
    words = words[len(named) :]
    shots = [int(word) for word in leading(words, is_whole)] if command == "fewshot" else []
    number, *more = numbers("SHOTS", "16", smallest=-1)
    if more:
        raise ValueError(f"SHOTS={os.environ['SHOTS']}: {command}.sh takes one number")
    datasets = list(map(config_name, named))
    source = source_name()
    if command in ("xd_test", "dg_test"):
        datasets = datasets or list(TARGETS if command == "xd_test" else IMAGENET_VARIANTS)
    else:
        datasets = datasets or [source if command == "xd_train" else DEMO]
        source = datasets[0]
    protocol = command.partition("_")[0]
    protocol = protocol if protocol in ("base2new", "fewshot") else "cross_dataset"
    options = (*added, *words)
    job = Job(protocol, method, int(seed), source, number, options, method_files=method_files)
    run_protocol(command, job, datasets, shots or FEW_SHOTS)


def run_protocol(command: str, job: Job, datasets: Sequence[str], shots: Sequence[int]) -> None:
    """Check all of it, then run it.

    Args:
        datasets: the job's own, or the targets that its prompts are tested on.
        shots: numbers of shots of the few-shot protocol.
    """
    trained, script = None, ""
    if command == "base2new_train":
        runs = [run for each in side_by_side(job) for run in base2new_runs(each)]
    elif command == "base2new_test":
        trained, script = base2new_runs(job)[0], "base2new_train"
        runs = [base2new_runs(job)[1]]
    elif command == "fewshot":
        runs = [fewshot_run(replace(job, shots=number)) for number in shots]
    elif command == "xd_train":
        runs = [source_run(job)]
    else:
        trained, script = source_run(job), "xd_train"
        runs = [transfer_run(job, target) for target in datasets]
    require_data(datasets, job.protocol)
    if command in TO_NEW_CLASSES and (reason := no_new_classes(job.method)):
        raise ValueError(f"{reason}. fewshot.sh takes it, and dg_test.sh after xd_train.sh")
    if trained is not None and job.trains:
        require_trained(trained, script)
    prepare(runs)
    if command == "base2new_train":
        base2new_train(job)
    elif command == "fewshot":
        fewshot(job, runs)
    elif command in ("xd_test", "dg_test"):
        transfer(job, runs)
    else:
        single(runs[0])


def guarded(call: Callable[[], None]) -> None:
    """A call of a command line: ends with one line and status 2 where something is wrong."""
    try:
        with one_line_errors():
            try:
                call()
            except RunFailed as failure:
                if not failure.has_said_why:
                    print(f"error: {failure}", file=sys.stderr)
                raise SystemExit(STATUS) from None
    finally:
        warm.stop()


def run_command(arguments: Sequence[str]) -> None:
    """The command line."""
    guarded(lambda: main(arguments))


if __name__ == "__main__":
    run_command(sys.argv[1:])
