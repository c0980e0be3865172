"""The evaluation protocols as runs of train.py; the scripts beside this file are its command line.

    python scripts/protocol.py base2new_train METHOD SEED [DATASET] [KEY VALUE ...]

Settings from the environment: those of runs.py, and SHOTS (16), SOURCE (of cross-dataset prompts:
imagenet); for compare also METHODS, SEEDS (1 2 3), several SHOTS, and PROTOCOL (base2new, fewshot,
cross_dataset, domain).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from fewshot_datasets import READERS
from fewshot_datasets.check import check, config_name
from multimode_ot.commands.compare import table
from multimode_ot.config import require_known
from multimode_ot.errors import STATUS, one_line_errors
from multimode_ot.files import write_whole
from multimode_ot.methods import find_method
from multimode_ot.results.protocol_tables import few_classes
from multimode_ot.results.results_json import harmonic_mean
from multimode_ot.results.tree import FOLDERS
from protocol_runs import (
    ZERO_SHOT,
    base2new_runs,
    fewshot_run,
    is_whole,
    numbers,
    runs_of,
    source_name,
    source_run,
    transfer_run,
    words_of,
    zero_shot,
)
from runs import CHECKOUT, Job, Run, RunFailed, data_root, output_root
from tabulate import tabulate

DEMO = "digits"
TARGETS = (
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)
IMAGENET_VARIANTS = ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r")
FEW_SHOTS = (1, 2, 4, 8, 16)
COMPARED = ("ZeroshotCLIP", "CoOp", "CoCoOp", "MaPLe", "PLOT", "ALIGN")
COMMANDS = (
    "base2new_train",
    "base2new_test",
    "fewshot",
    "xd_train",
    "xd_test",
    "dg_test",
    "compare",
)


def base2new_train(job: Job) -> None:
    """Train on base classes, test on base and on new classes, beside zero-shot CLIP."""
    rows = []
    jobs = [job] if job.method == ZERO_SHOT else [job, zero_shot(job)]
    for each in jobs:
        base, new = (run.results() for run in base2new_runs(each))
        accuracies = base["accuracy"], new["accuracy"]
        time_and_memory = base["seconds"] + new["seconds"], base["peak_memory_mb"]
        rows.append([each.method, *accuracies, harmonic_mean(*accuracies), *time_and_memory])
    headers = ["method", "base %", "new %", "harmonic mean %", "time s", "peak memory MB"]
    print(f"\n{job.dataset}, {job.shots} shots, seed {job.seed}, {base['backbone']}\n")
    print(tabulate(rows, headers, floatfmt=("", ".2f", ".2f", ".2f", ".0f", ".0f")))
    if few_classes([base, new]):
        print(f"\n{few_classes([base, new])}")
    print("\nFiles (log.txt, results.json, checkpoint):")
    for run in base2new_runs(job):
        print(f"  {run.directory}")


def base2new_test(job: Job) -> None:
    """Test what base2new_train trained on the new classes, alone."""
    base, new = base2new_runs(job)
    if job.trains:
        require_trained(base, f"scripts/base2new_train.sh {job.method} {job.seed} {job.dataset}")
    results = new.results()
    print(f"\n{new.title}: {results['accuracy']:.2f}%, see {new.directory}")


def fewshot(job: Job, shots: Sequence[int]) -> None:
    """Train and test on all classes, for each number of shots."""
    rows = []
    for number in shots:
        run = fewshot_run(replace(job, shots=number))
        results = run.results()
        rows.append([number, results["accuracy"], results["seconds"], run.directory])
    print(f"\n{job.method} on {job.dataset}, seed {job.seed}, {results['backbone']}\n")
    print(tabulate(rows, ["shots", "accuracy %", "time s", "files"], floatfmt=("", ".2f", ".0f")))


def xd_train(job: Job) -> None:
    """Train the prompts that xd_test and dg_test test elsewhere."""
    run = source_run(job)
    print(f"\n{run.title}: {run.results()['accuracy']:.2f}%, see {run.directory}")


def transfer(job: Job, targets: Sequence[str]) -> None:
    """Test what xd_train trained on each target."""
    if job.trains:
        command = f"scripts/xd_train.sh {job.method} {job.seed} {job.dataset}"
        require_trained(source_run(job), command)
    runs = [transfer_run(job, target) for target in targets]
    rows = [
        [target, run.results()["accuracy"], run.directory]
        for target, run in zip(targets, runs, strict=True)
    ]
    rows.append(["mean", sum(row[1] for row in rows) / len(rows), ""])
    print(f"\n{job.method}, prompts from {job.dataset}, seed {job.seed}\n")
    print(tabulate(rows, ["data set", "accuracy %", "files"], floatfmt=("", ".2f")))


def compare(datasets: Sequence[str]) -> None:
    """Run what is missing of a whole comparison, then print and write its table."""
    protocol = os.environ.get("PROTOCOL") or "base2new"
    require_known("PROTOCOL", protocol, FOLDERS)
    methods = words_of("METHODS", " ".join(COMPARED))
    seeds, shots = numbers("SEEDS", "1 2 3"), numbers("SHOTS", "16", smallest=-1)
    if not datasets:
        datasets = {"cross_dataset": TARGETS, "domain": IMAGENET_VARIANTS}.get(protocol, [DEMO])
    datasets = [config_name(name) for name in datasets]
    for method in methods:
        find_method(method)
    require_data(datasets, protocol)
    failed = []
    # All are made before the first is run: what one of them refuses is refused at once.
    for runs in [
        runs_of(Job(protocol, method, seed, dataset, number, common_backbone=True))
        for dataset in datasets
        for number in shots
        for method in methods
        for seed in (seeds if find_method(method).trains else [1])
    ]:
        for run in runs:
            try:
                run.results()
            except RunFailed as error:
                failed.append(str(error))
                break
    if failed:
        print("\n".join(failed))
    try:
        write_tables(protocol, methods, datasets, shots)
    except FileNotFoundError:  # no run has a result, and each has said why
        if not failed:
            raise
    if failed:
        raise SystemExit(STATUS)


def write_tables(
    protocol: str, methods: Sequence[str], datasets: Sequence[str], shots: Sequence[int]
) -> None:
    """Print and write the table of a comparison; one for each number of shots, which only the
    few-shot protocol has in one table."""
    names = [reader.__name__ for reader in READERS.values()]
    root, folder = output_root(), output_root() / "comparison"
    chosen = ["--protocol", protocol, "--methods", *methods, "--datasets"]
    chosen += [READERS[name].__name__ for name in datasets]
    if protocol in ("cross_dataset", "domain"):
        chosen += ["--source", source_name()]
    for tabulated in [shots] if protocol == "fewshot" else [[number] for number in shots]:
        options = [str(root), *chosen, "--shots", *map(str, tabulated)]
        own = f"_{tabulated[0]}shots" if len(shots) > 1 and protocol != "fewshot" else ""
        for style, ending in {"markdown": "md", "csv": "csv", "json": "json"}.items():
            text = table([*options, "--format", style], names)
            write_whole(folder / f"{protocol}{own}.{ending}", lambda s, t=text: s.write(t + "\n"))
        print("\n" + table(options, names))
        print(f"\nWritten to {folder} as {protocol}{own}.md, .csv and .json")


def require_trained(run: Run, command: str) -> None:
    if run.finished() is None:
        raise ValueError(f"nothing trained in {run.directory}: first run bash {command}")


def require_data(names: Sequence[str], protocol: str) -> None:
    """One clear line for each data set that cannot be used, and one for each remark on others."""
    findings = check(names, str(data_root()))
    unusable = [str(finding) for finding in findings if not finding.usable]
    if protocol == "base2new":
        unusable += [
            f"{f.name}: it has 1 class, so that no new one is left"
            for f in findings
            if f.classes == 1
        ]
    if unusable:
        raise ValueError("\n".join(unusable))
    # Of finished runs nobody reads the data again, and pictures may have been added since.
    for finding in findings:
        if finding.notes:
            print(finding, flush=True)


def leading(words: list[str], test: Callable[[str], bool]) -> list[str]:
    """Remove and return the first words that pass a test."""
    count = next((i for i, word in enumerate(words) if not test(word)), len(words))
    taken, words[:] = words[:count], words[count:]
    return taken


def main(arguments: Sequence[str]) -> None:
    command, *words = arguments or [""]
    require_known("script", command, COMMANDS)
    if command == "compare":
        return compare(words)
    usage = f"usage: bash scripts/{command}.sh METHOD SEED [DATASET] [KEY VALUE ...]"
    if len(words) < 2:
        raise ValueError(usage)
    if not is_whole(words[1]):
        raise ValueError(f"SEED {words[1]!r} is no whole number: {usage}")
    method, seed, *words = words
    methods = [p.name for p in (CHECKOUT / "configs/trainers").iterdir() if p.is_dir()]
    require_known("METHOD", method, methods)
    # A KEY of the options has a dot or capitals; a data set has neither.
    named = leading(words[:1], lambda word: word == word.lower() and not is_whole(word))
    words = words[len(named) :]
    shots = [int(word) for word in leading(words, is_whole)] if command == "fewshot" else []
    number, *more = numbers("SHOTS", "16", smallest=-1)
    if more:
        raise ValueError(f"SHOTS={os.environ['SHOTS']}: {command}.sh takes one number")
    transfers = command in ("xd_test", "dg_test")
    source = source_name()
    default = source if command.startswith(("xd", "dg")) else DEMO
    dataset = source if transfers else (config_name(named[0]) if named else default)
    protocol = {"base2new_train": "base2new", "base2new_test": "base2new"}.get(command, command)
    protocol = protocol if protocol in ("base2new", "fewshot") else "cross_dataset"
    job = Job(protocol, method, int(seed), dataset, number, tuple(words))
    if transfers:
        targets = TARGETS if command == "xd_test" else IMAGENET_VARIANTS
        targets = [config_name(named[0])] if named else targets
        require_data(targets, protocol)
        return transfer(job, targets)
    require_data([dataset], protocol)
    if command == "fewshot":
        return fewshot(job, shots or FEW_SHOTS)
    return {"xd_train": xd_train, "base2new_test": base2new_test}.get(command, base2new_train)(job)


def run_command(arguments: Sequence[str]) -> None:
    """The command line: ends with one line and status 2 where something is wrong."""
    with one_line_errors():
        try:
            main(arguments)
        except RunFailed as failure:
            if not failure.has_said_why:
                print(f"error: {failure}", file=sys.stderr)
            raise SystemExit(STATUS) from None


if __name__ == "__main__":
    run_command(sys.argv[1:])
