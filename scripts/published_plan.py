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

from fewshot_datasets import PUBLISHED
from fewshot_datasets.check import check, config_name
from fewshot_datasets.findings import Finding
from jobs import Job, data_root, method_and_options, train
from multimode_ot.methods import method_names
from multimode_ot.results.published import published_methods, published_shots
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
        """Each once: targets of a transfer share its training."""
        return list({run.directory: run for runs in self.groups for run in runs}.values())

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
                words = run.job.words(run.dataset, run.options)
                try:
                    found[kind_of(run)] = train.setup_cfg(train.parse_arguments(words))
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
        """A line for each data set that cannot be used."""
        lines = unusable(self.findings, self.protocol)
        return [line.partition("\n")[0] for line in lines]

    @cached_property
    def refused(self) -> list[str]:
        """A line for each method whose settings are refused: a file that they name is not here."""
        errors = {
            f"{run.job.label}: {error}": None
            for run in self.runs
            if isinstance(error := self.settings[kind_of(run)], Exception)
        }
        return list(errors)

    @cached_property
    def missing_weights(self) -> dict[str, Path | None]:
        """Backbones whose weights are not here, and where the download of each would lie."""
        from multimode_ot.backbone.sources import download_place, is_local

        names = dict.fromkeys(filter(None, map(self.backbone, self.runs)))
        return {name: download_place(name) for name in names if not is_local(name)}


def kind_of(run: Run) -> tuple[Any, ...]:
    """What the runs of one method with one config file have in common."""
    return run.job.method, run.job.options, run.job.config_file


def make_plan(
    protocol: str,
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
) -> Plan:
    """The plan of a table; what is not named is as published.

    Args:
        methods: as scripts name them (`CoOp+weight_average`); none: those of this package that have
            a published row in the table.
        datasets: config or reader names.

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
        method, options = method_and_options(word, "--methods")
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
