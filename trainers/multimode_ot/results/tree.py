"""Which results lie below a folder, and what each one says: the input of every table."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..config import require_known
from .fields import check_fields
from .results_json import FILE_NAME, read_results

DOMAINS = ("ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
# The folder of the output layout that holds a protocol's evaluations.
FOLDERS = {
    "base2new": "base2new",
    "fewshot": "fewshot",
    "cross_dataset": "evaluation",
    "domain": "evaluation",
}
CHOSEN_ON_TEST, UNTRAINED = " (chosen on test)", " (untrained)"
OTHER_BACKBONE = " (prompts of another backbone)"
UNTRAINED_CLASSES = "†"  # behind a number
# `evaluation/CoOp/vit_b16_16shots_from_digits`: the folder of a transfer says where prompts are
# from, ImageNet if it names nothing.
_ORIGIN = re.compile(r".*_(?P<shots>-?\d+)shots(?:_from_(?P<source>.+))?")
_DEFAULT_SOURCE = "imagenet"


class Transfer(NamedTuple):
    """Where the prompts of an evaluation were trained, as its folder says.

    Attributes:
        source: name of the data set's config.
        shots: None if the folder does not say.
        on_source: they are tested on the data set that they were trained on.
    """

    source: str
    shots: int | None
    on_source: bool


def collect(
    output: Path, protocol: str, trains: Callable[[str], bool] = lambda method: False
) -> list[dict[str, Any]]:
    """The results of one protocol below `output`, a whole output tree or a folder of one.

    What lies in hidden folders is left out. Each result gets its file as `path`; one of a transfer
    also its `transfer`.

    Args:
        trains: whether a method trains anything, asked for results that do not tell.

    Raises:
        FileNotFoundError: there are none, or `output` is no folder.
        PermissionError: a folder that may not be read.
        ValueError: a file that is no result, or not of this protocol; names file and field.
    """
    if not output.is_dir():
        raise FileNotFoundError(f"{output} is no folder of runs: there is no such folder")
    files = files_below(output, FILE_NAME)
    inside = {file: file.relative_to(output).parts[:-1] for file in files}
    # Of a narrower folder than a whole output tree, the place says the protocol.
    whole = any(not set(parts).isdisjoint(FOLDERS.values()) for parts in inside.values())
    above = () if whole else Path(os.path.abspath(output)).parts
    found = []
    for file, parts in inside.items():
        nearest = next((p for p in reversed(above + parts) if p in FOLDERS.values()), None)
        if nearest != FOLDERS[protocol]:
            continue
        result = read_results(file) | {"path": str(file)}
        check_fields(result)
        if result.get("trained_parameters") is None and result.get("epoch") is None:
            result["method_trains"] = trains(result["method"])
        if nearest == "evaluation":
            if (result["dataset"] in DOMAINS) != (protocol == "domain"):
                continue
            result["transfer"] = _transfer((*above, *parts), result["dataset"])
        subsets = ("base", "new") if protocol == "base2new" else ("all",)
        if result["subset"] not in subsets:
            raise ValueError(
                f"{file} is no result of the protocol {protocol!r}: subset is "
                f"{result['subset']!r}, not {' or '.join(map(repr, subsets))}"
            )
        found.append(result)
    if not found:
        raise FileNotFoundError(f"{output} has no {FILE_NAME} of the protocol {protocol!r}")
    return found


def files_below(output: Path, name: str) -> list[Path]:
    """All files of a name below a folder, none of them in a hidden one.

    Raises:
        PermissionError: a folder that may not be read; what is in it would be missed in silence.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise error

    found = []
    for folder, folders, files in os.walk(output, onerror=refuse):
        folders[:] = [each for each in folders if not each.startswith(".")]
        if name in files:
            found.append(Path(folder, name))
    return sorted(found)


def is_zero_shot(result: Mapping[str, Any]) -> bool:
    """Whether a result is of a method that learns nothing from training images.

    Files say so by `trained_parameters` 0 and the selection rule `none`, if they have one (what
    only collects images has another). Older ones lack the first: there it has epoch 0 and 0 shots,
    and a trained method -1 or at least 1 shot, or 0 shots (all images) and a later epoch. Of a file
    without epoch, whoever collected it was told. Untrained prompts are no zero-shot method.
    """
    trained = result.get("trained_parameters")
    if trained is not None:
        rule = (result.get("selection") or {}).get("rule") or "none"
        return trained == 0 and rule == "none"
    if result["shots"] != 0 or row_label(result).endswith(UNTRAINED):
        return False
    epoch = result.get("epoch")
    return not result.get("method_trains") if epoch is None else epoch == 0


def method_of(result: Mapping[str, Any]) -> str:
    """The method and what was added to it: `CoOp + template consistency`."""
    added = (f" + {name.replace('_', ' ')}" for name in result.get("regularisers") or ())
    return result["method"] + "".join(added)


def other_backbone(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The backbone that the weights are from, as records have it, if it is not the one that they
    were tested on: MODEL.BACKBONE.ALLOW_OTHER let them be."""
    record = result.get("made_of") or {}
    trained = result.get("trained_by") or record
    source = trained.get("initial_backbone") or trained.get("backbone")
    tested_on = record.get("backbone")
    if not source or not tested_on or source["sha256"] == tested_on["sha256"]:
        return None
    return source


def row_label(result: Mapping[str, Any]) -> str:
    """The method and what was added to it, marked if its weights are another backbone's, were
    chosen on the images tested or never trained."""
    name = method_of(result) + (OTHER_BACKBONE if other_backbone(result) else "")
    selection = result.get("selection") or {}
    if selection.get("rule") == "initial":
        return name + UNTRAINED
    # Images that the weights were chosen on are no test, whatever their split is called.
    chosen_on = selection.get("split")
    on_test = bool(chosen_on) and chosen_on in ("test", result.get("split"))
    return name + (CHOSEN_ON_TEST if on_test else "")


def holding_for_every_seed(
    results: Iterable[Mapping[str, Any]],
) -> Callable[[Mapping[str, Any]], bool]:
    """Tells which results are zero-shot and the same for all seeds, so that they are one result."""

    def group(result: Mapping[str, Any]) -> tuple[str, str, str]:
        return row_label(result), result["dataset"], result["subset"]

    found = defaultdict(set)
    for r in results:
        if is_zero_shot(r):
            found[group(r)].add(r["accuracy"])
    return lambda r: is_zero_shot(r) and len(found[group(r)]) == 1


def shots_of(result: Mapping[str, Any]) -> int | None:
    """Shots that were trained with, 0: all images. None where a transfer's folder names none."""
    shots = result["transfer"].shots if "transfer" in result else result["shots"]
    return None if shots is None else max(shots, 0)


def source_of(result: Mapping[str, Any]) -> str:
    """The data set that transferred prompts are from, "" where nothing is transferred."""
    return result["transfer"].source if "transfer" in result else ""


def heading(shots: int | None) -> str:
    """Shots as tables name them; nothing where they are unknown."""
    if shots is None:
        return ""
    return f"{shots} shots" if shots > 0 else "all images"


def choose(
    results: list[dict[str, Any]],
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
    source: str | None = None,
    known_datasets: Iterable[str] = (),
    known_methods: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """The results asked for; no names or numbers: all.

    Results of zero-shot methods stay, whatever is asked of shots and source; and of seeds, where
    one holds for all.

    Args:
        methods: names, with what was added ("CoOp + weight average"), or rows such as
            "CoOp (untrained)".
        shots: numbers of shots that were trained with; below 1: all images.
        source: name of the data set's config that transferred prompts are from.
        known_datasets: data sets that may be asked for although they have no result.
        known_methods: likewise.

    Raises:
        ValueError: a name or number that no result has, unless it is a known method or data set.
    """
    labels = {name for r in results for name in (method_of(r), row_label(r))}
    for method in methods:
        require_known("--methods", method, labels | set(known_methods))
    for dataset in datasets:
        require_known("--datasets", dataset, {r["dataset"] for r in results} | set(known_datasets))
    if methods:
        results = [r for r in results if {method_of(r), row_label(r)} & set(methods)]
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


def _transfer(parts: tuple[str, ...], dataset: str) -> Transfer:
    """What the folders below `evaluation` say of where prompts are from and tested."""
    start = max(i for i, part in enumerate(parts) if part == "evaluation")
    below = parts[start + 1 :]
    found = [(i, m) for i, m in enumerate(map(_ORIGIN.fullmatch, below)) if m]
    shots, source, tested_in = None, _DEFAULT_SOURCE, below
    if found:
        place, match = found[0]
        shots, source = int(match["shots"]), match["source"] or _DEFAULT_SOURCE
        tested_in = below[place + 1 :]
    same = source.replace("_", "").lower() == dataset.replace("_", "").lower()
    return Transfer(source, shots, same or source in tested_in)
