"""Methods as a Dassl host knows them: defaults in its config, trainers in its registry."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from yacs.config import CfgNode

from ..config import add_defaults, add_shared_defaults
from ..methods import find_method, method_names, strangers

OWN = ("MultiModeOT", "ALIGN")  # a host repository has trainers of the other names already


def extend_cfg(cfg: CfgNode) -> None:
    """Add what the trainers here read to a Dassl config, or to an empty node for
    `build_model`; keys that exist keep their values.

    Where Dassl is in use, also registers the trainers that a host has not: `MultiModeOT`, `ALIGN`,
    and the methods of strangers. An installed package's method that cannot be imported is left out,
    with a warning.
    """
    names, trainers = [], cfg.setdefault("TRAINER", CfgNode())
    for name in method_names():
        try:
            settings = find_method(name).all_settings()
        except (ImportError, ValueError) as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        names.append(name)
        add_defaults(trainers.setdefault(name.upper(), CfgNode()), settings)
    add_shared_defaults(cfg)
    if "dassl" in sys.modules:
        register([name for name in names if name in (*OWN, *strangers())])


def register(names: Iterable[str]) -> None:
    """Register the trainers of these methods with Dassl, except under names that it has."""
    try:
        registry = importlib.import_module("dassl.engine").TRAINER_REGISTRY
    except ImportError as error:
        # The original Dassl cannot be imported without packages that few people have.
        warnings.warn(
            f"no trainer is registered: the installed Dassl cannot be imported ({error})",
            stacklevel=3,
        )
        return
    there = registry.registered_names()
    for name in names:
        if name not in there:
            registry.register(trainer_of(name))


def trainer_of(name: str) -> Any:
    """The trainer class of a method: `engine.PromptTrainer` for it."""
    from .engine import PromptTrainer

    method = find_method(name)
    return type(name, (PromptTrainer,), {"method": method, "__doc__": method.__doc__})
