"""Every yacs default of every trainer here, and the checks that refuse a bad value early.

A trainer's settings live in `cfg.TRAINER.<NAME IN CAPITALS>`, as everywhere in this ecosystem.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from yacs.config import CfgNode

PRECISIONS = ("fp32", "fp16", "bf16", "amp")

_MULTI_MODE: dict[str, Any] = {
    "N_CTX": 2,  # b: learnable tokens of one prompt
    "CTX_INIT": "a photo of a",  # further sentences after a tab initialise further prompts
    "PREC": "fp16",
    "TEXT_PROMPT_NUMBER": 4,  # N
    "VISION_PROMPT_NUMBER": 4,  # M; 0: no visual prompts (always so on a ResNet)
    "PROMPT_DEPTH": 9,  # D: prompted layers of both towers
    "COUPLED": True,  # visual prompts are linear maps of the text prompts; needs M = N
    "HEAD": "paper",  # or "released", what the authors' program computes
    "ALIGNMENT": "hierarchical",  # or "prompt", "token", "mean" (uniform prompt-level plan)
    "TRANSPORT": "sinkhorn",  # or "ct" (learned temperature), "emd" (exact, evaluation only)
    "BETA": 1.0,  # weight of the token level
    "EPSILON": 0.1,  # entropic regularisation; the first temperature of "ct"
    "MAX_ITERATIONS": 100,
    "TOLERANCE": 1e-3,  # row-marginal violation at which Sinkhorn stops (HEAD paper)
}
_CONTEXT: dict[str, Any] = {"N_CTX": 16, "CTX_INIT": "", "PREC": "fp16"}
_COOP = _CONTEXT | {"CSC": False, "CLASS_TOKEN_POSITION": "end"}

DEFAULTS: dict[str, dict[str, Any]] = {
    "MULTIMODEOT": _MULTI_MODE,
    "ALIGN": _MULTI_MODE,
    "ZEROSHOTCLIP": {"PREC": "fp16"},
    "ZEROSHOTCLIP2": {"PREC": "fp16"},
    "COOP": _COOP,
    "COCOOP": _CONTEXT,
    "MAPLE": {"N_CTX": 2, "CTX_INIT": "a photo of a", "PREC": "fp16", "PROMPT_DEPTH": 9},
    "IVLP": {
        "N_CTX_VISION": 2,
        "N_CTX_TEXT": 2,
        "CTX_INIT": "a photo of a",
        "PREC": "fp16",
        "PROMPT_DEPTH_VISION": 9,
        "PROMPT_DEPTH_TEXT": 9,
    },
    "VPT": {
        "N_CTX_VISION": 2,
        "CTX_INIT": "a photo of a",
        "PREC": "fp16",
        "PROMPT_DEPTH_VISION": 1,
    },
    "PLOT": _COOP | {"N": 4},
}


def extend_cfg(cfg: CfgNode) -> None:
    """Add what the trainers here read to a Dassl config; keys that exist keep their values."""
    for name, defaults in DEFAULTS.items():
        node = cfg.TRAINER.setdefault(name, CfgNode())
        for key, value in defaults.items():
            node.setdefault(key, value)
    cfg.DATASET.setdefault("SUBSAMPLE_CLASSES", "all")


def default_settings(trainer: str) -> CfgNode:
    """A fresh copy of one trainer's settings."""
    return CfgNode(dict(DEFAULTS[trainer.upper()]))


class Check:
    """Refuses settings of one node with the full key, the value and what is allowed."""

    def __init__(self, settings: CfgNode, trainer: str):
        self.settings, self.path = settings, f"TRAINER.{trainer.upper()}"

    def one_of(self, key: str, allowed: Iterable[str]) -> None:
        allowed = list(allowed)
        value = self.settings[key]
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            self.refuse(key, f"allowed are {', '.join(map(repr, allowed))}{hint}")

    def at_least(self, key: str, smallest: float) -> None:
        if not self.settings[key] >= smallest:
            self.refuse(key, f"must be at least {smallest}")

    def positive(self, key: str) -> None:
        if not self.settings[key] > 0:
            self.refuse(key, "must be positive")

    def at_most(self, key: str, largest: int, why: str) -> None:
        if self.settings[key] > largest:
            self.refuse(key, f"must be at most {largest}: {why}")

    def refuse(self, key: str, reason: str) -> None:
        raise ValueError(f"{self.path}.{key} {self.settings[key]!r}: {reason}")


SettingsCheck = Callable[[Check], None]
