"""What a published table needs: runs with their configs, data, weights. Nothing is run here.

The methods are those of the published rows, the configs those of `configs/defaults.yaml`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fewshot_datasets import PUBLISHED, READERS
from fewshot_datasets.check import check, config_name
from fewshot_datasets.findings import Finding
from jobs import Job, data_root, method_and_options
from multimode_ot.methods import find_method, method_names
from multimode_ot.results.published import published_methods, published_shots
from multimode_ot.results.results_json import FREE_SETTINGS
from preparation import unusable
from protocol_runs import IMAGENET, IMAGENET_VARIANTS, TARGETS, runs_of, source_name, trained_job
from runs import Run
from yacs.config import CfgNode

SEEDS = (1, 2, 3)  # of published means
TRANSFERS = ("cross_dataset", "domain")


@dataclass(frozen=True)
class Plan:
    """The runs of a table.

    Attributes:
        groups: runs of which each needs those before it, a group for each method, data set, number
            of shots and seed.
        left_out: a line for each method with published rows that has no config for the table.
    """

    protocol: str
    jobs: list[Job]
    datasets: list[str]
    shots: list[int]
    seeds: list[int]
    groups: list[list[Run]]
    left_out: list[str]

    @cached_property
    def runs(self) -> list[Run]:
        """Each once, with those of earlier stages: targets of a transfer share its training."""
        every = (each for runs in self.groups for run in runs for each in (*_earlier(run), run))
        return list({run.directory: run for run in every}.values())

    @property
    def by_method(self) -> list[Run]:
        """The runs, those of one method together; stages of its training, too, where they are
        another's."""
        order = {row: i for i, row in enumerate(self.rows)}
        return sorted(self.runs, key=lambda run: order.get(run.job.row, len(order)))

    @cached_property
    def rows(self) -> list[str]:
        """The methods as tables name them, in the order of the plan."""
        return list(dict.fromkeys(trained_job(job).row for job in self.jobs))

    @cached_property
    def settings(self) -> dict[Any, CfgNode | Exception]:
        """The whole config of each method and config file, or why there is none, by `kind_of`."""
        found: dict[Any, CfgNode | Exception] = {}
        for run in self.runs:
            if kind_of(run) not in found:
                try:
                    found[kind_of(run)] = run.config
                except (OSError, ValueError) as error:
                    found[kind_of(run)] = error
        return found

    def backbone(self, run: Run) -> str:
        """The name of a run's backbone, "" where its settings are refused."""
        cfg = self.settings[kind_of(run)]
        return cfg.MODEL.BACKBONE.NAME if isinstance(cfg, CfgNode) else ""

    @cached_property
    def findings(self) -> list[Finding]:
        """What a check of the data sets says, the source of a transfer among them."""
        names = list(self.datasets)
        if self.protocol in TRANSFERS and any(job.trains for job in self.jobs):
            names = list(dict.fromkeys([source_name(), *names]))
        return check(names, str(data_root()))

    @cached_property
    def missing_data(self) -> list[str]:
        """A line for each data set that cannot be used, with the command that gets it."""
        lines = [text.partition("\n")[0] for text in unusable(self.findings, self.protocol)]
        commands = {f.name: READERS[f.name].get_command(data_root()) for f in self.findings}
        names = [line.partition(":")[0] for line in lines]
        return [
            f"{line}; get it: {commands[name]}" if commands.get(name) else line
            for line, name in zip(lines, names, strict=True)
        ]

    @cached_property
    def refused(self) -> list[str]:
        """A line for each method whose settings are refused, since a file that they name is not
        here, or none is named that training reads."""
        lines: dict[str, None] = {}
        for run in self.runs:
            cfg = self.settings[kind_of(run)]
            if isinstance(cfg, Exception):
                lines[f"{run.job.label}: {cfg}"] = None
            elif run.trains and run.model is None and _lacks_files(cfg):
                own = cfg.TRAINER[run.job.method.upper()]
                keys = [k for k in FREE_SETTINGS if isinstance(own.get(k), str)]
                named = " or ".join(f"TRAINER.{run.job.method.upper()}.{key}" for key in keys)
                what = f"{run.job.label} on {run.job.dataset}: missing files that training reads"
                lines[f"{what} (--set {named} PATH)"] = None
        return list(lines)

    @cached_property
    def missing_weights(self) -> dict[str, Path | None]:
        """Backbones whose weights are not here, and where the download of each would lie."""
        from multimode_ot.backbone.downloads import openai
        from multimode_ot.backbone.sources import is_local

        names = dict.fromkeys(filter(None, map(self.backbone, self.runs)))
        here = {name: openai.place(name) if name in openai.ARCHIVES else None for name in names}
        return {name: place for name, place in here.items() if not is_local(name)}


def kind_of(run: Run) -> tuple[Any, ...]:
    """What the runs of one method with one config file have in common."""
    return run.job.method, run.job.options, run.job.config_file, run.stage


def _earlier(run: Run) -> list[Run]:
    try:
        return run.earlier
    except (OSError, ValueError):  # of refused settings, which the plan says
        return []


def _lacks_files(cfg: CfgNode) -> bool:
    """Whether training reads files and none is there."""
    from multimode_ot.methods.base import PromptedCLIP

    method = find_method(cfg.TRAINER.NAME)
    if method.training_files.__func__ is PromptedCLIP.training_files.__func__:
        return False
    return not method.training_files(cfg.TRAINER[method.name.upper()], cfg.DATASET.NAME)


def make_plan(
    protocol: str,
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> Plan:
    """The plan of a table; what is not named is as published.

    Args:
        methods: as scripts name them (`CoOp+weight_average`); none: those of this package that have
            a published row in the table.
        datasets: config or reader names.
        pairs: further settings, of one method (`TRAINER.<METHOD>.KEY`) or of all.

    Raises:
        ValueError: an unknown name, a named method without a config for the table, or CONFIG.
    """
    if os.environ.get("CONFIG"):
        raise ValueError(
            f"CONFIG={os.environ['CONFIG']}: a published table has its own configs, those of "
            "configs/defaults.yaml; compare.sh takes any"
        )
    names = list(map(config_name, datasets)) or usual_datasets(protocol)
    numbers = list(shots) or published_shots(protocol)
    words = list(methods) or [m for m in published_methods(protocol) if m in method_names()]
    jobs: list[Job] = []
    left_out = []
    for word in words:
        method, added = method_and_options(word, "--methods")
        options = (*added, *(each for pair in pairs if _is_for(method, pair[0]) for each in pair))
        own = [
            Job(protocol, method, 1, dataset, number, options)
            for dataset in names
            for number in numbers
        ]
        try:
            for job in own:
                _ = trained_job(job).config
        except ValueError as error:
            if methods:
                raise
            left_out.append(f"{method}: {error}")
            continue
        # What trains nothing is the same for all numbers of shots.
        jobs += own if own[0].trains else own[:: len(numbers)]
    jobs.sort(key=lambda job: (names.index(job.dataset), job.shots))
    chosen = list(seeds or SEEDS)
    return Plan(protocol, jobs, names, numbers, chosen, list(_groups(jobs, chosen)), left_out)


def _is_for(method: str, key: str) -> bool:
    return not key.startswith("TRAINER.") or key.startswith(f"TRAINER.{method.upper()}.")


def _groups(jobs: Sequence[Job], seeds: Sequence[int]) -> Iterator[list[Run]]:
    for job in jobs:
        for seed in seeds if job.trains else [1]:
            yield runs_of(replace(job, seed=seed))


def usual_datasets(protocol: str) -> list[str]:
    """The data sets of a published table, by their config names; ImageNet as the source that
    prompts are also tested on."""
    if protocol == "cross_dataset":
        return [IMAGENET, *TARGETS]
    if protocol == "domain":
        return list(IMAGENET_VARIANTS)
    return [name for name in PUBLISHED if name not in IMAGENET_VARIANTS]
