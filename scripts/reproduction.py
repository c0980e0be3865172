"""A published table, reproduced: its plan and what it takes, its runs, the table with verdicts."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from comparison import run_missing, write_tables
from estimate import Curve, Duration, duration, size_of, sizes, words
from jobs import output_root
from method_configs import CHECKOUT
from multimode_ot.config import flatten
from multimode_ot.errors import STATUS
from multimode_ot.results.results_json import FILE_NAME
from protocol_runs import numbers
from published_plan import Plan, kind_of, make_plan
from runs import Run
from tabulate import tabulate
from tqdm import tqdm
from yacs.config import CfgNode

MEASURING = 150.0  # seconds, of all methods together
SHORTEST = 3.0  # seconds, of one


def reproduce(args: argparse.Namespace) -> None:
    """Print the plan of a table; unless it is a dry run, run what is not finished and print the
    table, with verdicts.

    Args:
        args: of `multimode-ot reproduce`.

    Raises:
        ValueError, OSError: things are missing, and are named. Nothing has been run then.
    """
    for variable, value in {"DATA": args.data, "OUTPUT": args.output}.items():
        if value:
            os.environ[variable] = value
    plan = make_plan(args.table, args.methods, args.datasets, args.seeds, args.shots, args.set)
    if not args.dry_run:
        numbers("JOBS", "1", smallest=1)
        require_all(plan)
    print("\n".join(heading(plan)))
    curves = None if args.no_timing else curves_of(plan)
    print(f"\n{overview(plan, curves)}", flush=True)
    if args.dry_run:
        gaps = missing(plan)
        print("\n".join(["\nMissing:", *gaps] if gaps else ["\nNothing is missing."]))
        return
    failed = run_missing(plan.groups)
    print_tables(plan)
    if failed:
        raise SystemExit(STATUS)


def missing(plan: Plan) -> list[str]:
    """A line for each data set, backbone and file of a setting that is not here."""
    weights = [
        f"{name}: missing weights{f': {place}' if place else ''}"
        for name, place in plan.missing_weights.items()
    ]
    return [*plan.missing_data, *weights, *plan.refused]


def require_all(plan: Plan) -> None:
    """Refuse a plan of which something is missing, but for weights that can be downloaded."""
    gaps = missing(plan)
    if plan.missing_data or plan.refused:
        things = "1 thing is" if len(gaps) == 1 else f"{len(gaps)} things are"
        raise ValueError(f"{things} missing for {plan.protocol}: {'; '.join(gaps)}")
    if gaps:
        from multimode_ot.backbone.sources import read_weights

        for name in plan.missing_weights:
            read_weights(name)


def heading(plan: Plan) -> Iterator[str]:
    """What is planned, in lines."""
    finished = sum(not run.missing for run in plan.runs)
    shots, seeds = (", ".join(map(str, numbers)) for numbers in (plan.shots, plan.seeds))
    yield (
        f"{plan.protocol} as published: {len(plan.runs)} runs ({finished} finished), {shots} "
        f"shots, seeds {seeds}"
    )
    yield f"data sets: {', '.join(plan.datasets)}"
    yield f"results: {output_root()}"
    yield from (f"left out: {line}" for line in plan.left_out)


def curves_of(plan: Plan) -> dict[Any, Curve | str]:
    """Times of each method and config that has runs to do, or why they are not known."""
    known = sizes(plan.findings)
    counts: dict[str, set[int]] = defaultdict(set)
    kinds: dict[str, dict[Any, CfgNode]] = defaultdict(dict)
    found: dict[Any, Curve | str] = {}
    for run in plan.runs:
        kind = kind_of(run)
        cfg, size = plan.settings[kind], size_of(run, known)
        if not run.missing or size is None:
            continue
        if isinstance(cfg, CfgNode):
            counts[_alike(cfg)].add(size.classes)
            kinds[_alike(cfg)][kind] = cfg
        else:
            found[kind] = str(cfg)
    end = time.perf_counter() + MEASURING
    for i, (alike, each) in enumerate(tqdm(kinds.items(), "measuring steps", disable=None)):
        left = (end - time.perf_counter()) / (len(kinds) - i)
        cfg = next(iter(each.values()))
        found |= dict.fromkeys(each, _measured(cfg, counts[alike], max(SHORTEST, left)))
    return found


def _alike(cfg: CfgNode) -> str:
    """What a step's time depends on, in a config."""
    own = flatten(cfg.TRAINER[cfg.TRAINER.NAME.upper()])
    name, batch = cfg.MODEL.BACKBONE.NAME, cfg.DATALOADER.TRAIN_X.BATCH_SIZE
    return json.dumps([cfg.TRAINER.NAME, name, batch, own], sort_keys=True, default=str)


def _measured(cfg: CfgNode, counts: set[int], seconds: float) -> Curve | str:
    from step_times import measure

    try:
        return measure(cfg, counts, seconds)
    except Exception as error:  # of a plan, a time is the least
        return f"{type(error).__name__}: {error}"


def overview(plan: Plan, curves: Mapping[Any, Curve | str] | None) -> str:
    """A row for each method and config, and the time of all that is not finished.

    Args:
        curves: of `curves_of`; None: no time is given.
    """
    known = sizes(plan.findings)
    kinds: dict[Any, list[Run]] = defaultdict(list)
    for run in plan.by_method:
        kinds[kind_of(run)].append(run)
    rows, whole, without = [], 0.0, {}
    for kind, runs in kinds.items():
        cfg, curve = plan.settings[kind], (curves or {}).get(kind)
        left = [run for run in runs if run.missing]
        timed = [(run, size) for run in left if (size := size_of(run, known))]
        names = list(dict.fromkeys(run.dataset or run.job.dataset for run in runs))
        stage = f", stage {runs[0].stage}" if runs[0].stage else ""
        row = [runs[0].job.row, runs[0].job.config + stage, plan.backbone(runs[0])]
        row += [len(names) if len(names) > 1 else names[0], len(runs), len(runs) - len(left)]
        if isinstance(curve, Curve) and isinstance(cfg, CfgNode):
            steps = [curve.at(size.classes).step for run, size in timed if run.model is None]
            spent = [duration(run, cfg, size, curve.at(size.classes)) for run, size in timed]
            whole += sum(each.whole for each in spent)
            row += [_range(steps), *_sums(spent)]
        else:
            row += [""] * 3
            if isinstance(curve, str):
                without[runs[0].job.row] = curve
        rows.append(row)
    headers = ["method", "config", "backbone", "data sets", "runs", "finished"]
    headers += ["a step", "training", "tests"] if curves is not None else []
    align = ["left"] * 3 + ["right"] * (len(headers) - 3)
    shown = [row[: len(headers)] for row in rows]
    table = tabulate(shown, headers, disable_numparse=True, colalign=align)
    if curves is None:
        return table
    return "\n".join([table, *_remarks(plan, whole, without, known)])


def _remarks(
    plan: Plan, whole: float, without: Mapping[str, str], known: Mapping[str, Any]
) -> Iterator[str]:
    yield (
        f"\nestimated time on this machine: {words(whole)}, one run after another, without starts "
        "and reading of pictures; from single steps on random images"
    )
    yield from (f"no estimate of {method}: {reason}" for method, reason in without.items())
    unknown = {run.dataset or run.job.dataset for run in plan.runs if not size_of(run, known)}
    if unknown:
        yield f"no estimate for data sets of unknown size: {', '.join(sorted(unknown))}"


def _range(seconds: list[float]) -> str:
    if not any(seconds):
        return ""
    low, high = (f"{value:.2g}" for value in (min(seconds), max(seconds)))
    return f"{low} s" if low == high else f"{low} to {high} s"


def _sums(spent: list[Duration]) -> list[str]:
    parts = [sum(each) for each in zip(*spent, strict=True)] or [0.0, 0.0]
    return [words(part) if part else "" for part in parts]


def print_tables(plan: Plan) -> None:
    """The tables with verdicts, one for each backbone: two in one table compare nothing."""
    there = [r for r in plan.runs if not r.stage and (r.directory / FILE_NAME).is_file()]
    backbones = dict.fromkeys(map(plan.backbone, there))
    for backbone in backbones:
        own = [run for run in there if plan.backbone(run) == backbone]
        rows = {run.job.row for run in own}
        shots = {run.job.shots for run in own}
        suffix = f"_{backbone.replace('/', '-')}" if len(backbones) > 1 else ""
        write_tables(
            plan.protocol,
            [row for row in plan.rows if row in rows],
            plan.datasets,
            [number for number in plan.shots if number in shots],
            f"{plan.protocol}_reproduced{suffix}",
            ["--verdict", "--configs", str(CHECKOUT / "configs")],
            {run.directory for run in own},
        )
