"""What holds a method back: loss terms, gradient rules and weight averages for any method.

`TRAINER.<METHOD>.REGULARISERS` lists them by the names of this table; the settings of one are in
`TRAINER.<METHOD>.<NAME IN CAPITALS>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yacs.config import CfgNode

from ..config import Check, Setting, require_known
from .base import Regulariser, Seen
from .frozen_consistency import FrozenConsistency
from .gradient_projection import GradientProjection
from .template_consistency import TemplateConsistency
from .weight_average import WeightAverage

__all__ = ["REGULARISERS", "Regulariser", "Seen", "build", "check_listed", "listing", "settings"]

REGULARISERS: dict[str, type[Regulariser]] = {
    "template_consistency": TemplateConsistency,
    "frozen_consistency": FrozenConsistency,
    "weight_average": WeightAverage,
    "gradient_projection": GradientProjection,
}


def listing(*usual: str) -> Setting:
    """The setting that lists them, for a method that takes these by itself."""
    return Setting(usual, "what holds it back: " + ", ".join(REGULARISERS))


def settings() -> dict[str, Mapping[str, Setting]]:
    """The settings of all, by the key of their node."""
    return {name.upper(): kind.settings for name, kind in REGULARISERS.items()}


def check_listed(check: Check, method: Any) -> None:
    """Refuse regularisers that do not exist, stand twice, or lack what they need of `method`.

    Args:
        check: of the method's node.
        method: its class.
    """
    listed = check.settings.get("REGULARISERS", ())
    if isinstance(listed, str):
        check.refuse("REGULARISERS", f"must be a list of names, such as ({listed!r},)")
    for name in listed:
        require_known(f"{check.path}.REGULARISERS", str(name), REGULARISERS)
        if listed.count(name) > 1:
            check.refuse("REGULARISERS", f"{name!r} stands there twice")
        kind = REGULARISERS[name]
        reason = kind.unfit(method)
        if reason:
            check.refuse("REGULARISERS", f"{name!r} cannot be used with {method.name}: {reason}")
        own = Check(check.settings[name.upper()], f"{check.path}.{name.upper()}")
        own.declared(kind.settings)
        kind.check_settings(own)


def build(node: CfgNode) -> dict[str, Regulariser]:
    """The regularisers that a method's node lists, by their names."""
    listed = node.get("REGULARISERS", ())
    return {name: REGULARISERS[name](node[name.upper()]) for name in listed}
