"""Methods that are trained in several runs, each starting from the prompts of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One of the runs, in their order; the last one's prompts are the method's.

    A run gets the settings of its stage as if they were given with it, so a method's own code only
    reads its settings.

    Attributes:
        settings: of the method, by key.
        seed: the setting that holds another seed than the run's own for this stage; one that holds
            0, or none: the run's own.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: str = ""
