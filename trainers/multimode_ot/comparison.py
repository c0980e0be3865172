"""Which results may stand in one table: those asked for, of one configuration and training.

Tables are made in `protocol_tables`, of cells of `grid`, from results of `result_tree`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .config import require_known
from .factory import METHODS
from .grid import Cell, Column, Grid, PairedDifference, paired_differences
from .protocol_tables import MAKERS, make_grid, rows_of
from .result_tree import (
    AVERAGE,
    CHOSEN_ON_TEST,
    DOMAINS,
    FOLDERS,
    UNTRAINED,
    collect,
    heading,
    holding_for_every_seed,
    is_zero_shot,
    row_label,
    shots_of,
    source_of,
)

__all__ = [
    "AVERAGE",
    "CHOSEN_ON_TEST",
    "DOMAINS",
    "FOLDERS",
    "MAKERS",
    "Cell",
    "Column",
    "Grid",
    "PairedDifference",
    "choose",
    "collect",
    "is_zero_shot",
    "make_grid",
    "paired_differences",
    "require_one_configuration",
    "require_one_training",
    "row_label",
    "rows_of",
]


def choose(
    results: list[dict[str, Any]],
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
    source: str | None = None,
    known_datasets: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """The results asked for; no names or numbers: all.

    Results of zero-shot methods stay, whatever is asked of shots and source; and of seeds, where
    one holds for all.

    Args:
        methods: names, or rows such as "CoOp (untrained)".
        shots: numbers of shots that were trained with; below 1: all images.
        source: name of the data set's config that transferred prompts are from.
        known_datasets: data sets that may be asked for although they have no result.

    Raises:
        ValueError: a name or number that no result has, unless it is a known method or data set.
    """
    labels = {name for r in results for name in (r["method"], row_label(r))}
    for method in methods:
        require_known("--methods", method, labels | set(METHODS))
    for dataset in datasets:
        require_known("--datasets", dataset, {r["dataset"] for r in results} | set(known_datasets))
    if methods:
        results = [r for r in results if {r["method"], row_label(r)} & set(methods)]
    if datasets:
        results = [r for r in results if r["dataset"] in datasets]
    holds = holding_for_every_seed(results)
    numbers = [max(number, 0) for number in shots]
    for option, wanted, value, free in (
        ("--source", [source] if source else [], source_of, is_zero_shot),
        ("--shots", numbers, shots_of, is_zero_shot),
        ("--seeds", seeds, lambda r: r["seed"], holds),
    ):
        held = {value(r) for r in results if not free(r)}
        unknown = [] if not held else [each for each in wanted if each not in held]
        if unknown:
            there = ", ".join(map(str, sorted(held, key=lambda v: (v is None, v))))
            raise ValueError(f"{option} {unknown[0]}: no result has it, there is {there}")
        if wanted:
            results = [r for r in results if free(r) or value(r) in wanted]
    return results


def require_one_configuration(results: Iterable[Mapping[str, Any]]) -> None:
    """Raise `ValueError` if runs differ in more than method, seed, data set and classes.

    Within a method and data set the whole config must agree; between methods what all must share:
    backbone, input, test split, shots.
    """
    seen: dict[tuple, tuple[str, str]] = {}
    for r in results:
        common, _, _ = r["config_hash"].partition("-")
        own = (r["method"], r["dataset"], r["shots"])
        for key, digest in ((own, r["config_hash"]), ((r["dataset"],), common)):
            first = seen.setdefault(key, (digest, r["path"]))
            if first[0] != digest:
                raise ValueError(
                    f"two configurations in one table ({first[0]} in {first[1]}, {digest} in "
                    f"{r['path']}): name a narrower folder, or allow it with --mix"
                )


def require_one_training(
    results: Iterable[Mapping[str, Any]], protocol: str, by_method: bool = False
) -> None:
    """Raise `ValueError` if trained prompts of one table differ in shots, or in their source.

    A table by shots has a column for each.

    Args:
        by_method: compare only within each method.
    """
    if protocol == "fewshot":
        return
    seen: dict[str, tuple[str, str]] = {}
    for r in results:
        if is_zero_shot(r) or row_label(r).endswith(UNTRAINED):
            continue
        said = ", ".join(filter(None, (source_of(r), heading(shots_of(r)))))
        first = seen.setdefault(row_label(r) if by_method else "", (said, r["path"]))
        if first[0] != said:
            options = "--shots" if protocol == "base2new" else "--shots or --source"
            raise ValueError(
                f"two trainings in one table ({first[0]} in {first[1]}, {said} in {r['path']}): "
                f"choose one with {options}"
            )
