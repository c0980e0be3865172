"""Which published config of a method a protocol takes, and where its file lies.

A method of `configs/defaults.yaml` has its names there. One that borrows (`configs = "CoOp"` in its
class) takes the names of the other, and for each its own file of that name before the borrowed one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from multimode_ot.config import require_known
from multimode_ot.methods import find_method, method_names, strangers

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDER = Path("configs/trainers")
DEMO = "demo"  # the config of the embedded data set
USUAL = "vit_b16"


@cache
def defaults() -> dict[str, Any]:
    """The table of published configs: by method, protocol, data set, and shots."""
    return yaml.safe_load((CHECKOUT / "configs/defaults.yaml").read_text(encoding="utf-8"))


def config_file(method: str, name: str) -> Path:
    """The file of a method's config; where there is none, where it should be."""
    places = list(_places(method))
    files = [place / f"{name}.yaml" for place in places]
    there = [place / f"{name}.yaml" for place in places if place.is_dir()]
    return next(filter(Path.is_file, files), (there or files)[0])


def config_name(
    method: str, protocol: str, dataset: str, shots: int, common_backbone: bool = False
) -> str:
    """The name of the config that a method's table was made with.

    Args:
        common_backbone: as the other methods' instead of as published.

    Raises:
        ValueError: there is none for so many shots, or none at all.
    """
    *_, source = _lineage(method)
    if source not in defaults():
        return _name_there_is(method, dataset)
    configs = defaults()[source]
    if protocol not in configs:
        raise ValueError(
            f"no published config of {method} for {protocol} (there are some for "
            f"{', '.join(configs)}): name one with CONFIG=..."
        )
    by_dataset = configs[protocol]
    if common_backbone:
        by_dataset = configs.get("common_backbone", {}).get(protocol, by_dataset)
    chosen = by_dataset.get(dataset, by_dataset["default"])
    if not isinstance(chosen, dict):
        return chosen
    if shots not in chosen:
        raise ValueError(
            f"no published config of {method} for {shots} shots (there are some for "
            f"{', '.join(map(str, chosen))}): name one with CONFIG=..."
        )
    return chosen[shots]


def _name_there_is(method: str, dataset: str) -> str:
    """The config of a method that is in no table: `demo`, the only one, or the usual one."""
    places = list(_places(method))
    there = {file.stem for place in places for file in place.glob("*.yaml")}
    others = there - {DEMO}
    wanted = DEMO if dataset == "digits" else USUAL
    if wanted == USUAL and len(others) == 1:
        return others.pop()
    if wanted in there:
        return wanted
    listed = f" ({', '.join(sorted(there))})" if there else ""
    raise ValueError(
        f"no config of {method} says how to train on {dataset}: put {wanted}.yaml into "
        f"{' or '.join(map(str, places))}, name one that is there{listed} with CONFIG=..., or let "
        'the class borrow those of another method: configs = "CoOp"'
    )


def _places(method: str) -> Iterator[Path]:
    """Folders that may have a method's configs: the checkout's, beside its file, then borrowed."""
    for name in _lineage(method):
        yield CHECKOUT / FOLDER / name
        if name in strangers():
            yield Path(inspect.getfile(find_method(name))).resolve().parent / FOLDER / name


def _lineage(method: str) -> Iterator[str]:
    """The method, then that whose configs it borrows, and so on.

    Raises:
        ValueError: a method borrows from one that does not exist, or from itself.
    """
    found: list[str] = []
    while method:
        yield method
        found.append(method)
        if method in defaults():
            return
        method = find_method(found[-1]).configs
        if method:
            require_known(f"configs of {found[-1]}:", method, method_names())
        if method in found:
            raise ValueError(f"configs of {found[-1]}: {method!r} borrows from {found[-1]} itself")
