"""Every yacs default of every trainer here, and the checks that refuse a bad value early.

A trainer's settings live in `cfg.TRAINER.<NAME IN CAPITALS>`, as everywhere in this ecosystem.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

PRECISIONS = ("fp32", "fp16", "bf16", "amp")
# What identifies the images of a run: their list with file sizes, or also every byte of them.
FINGERPRINTS = ("sizes", "content")

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
    # What training may hold of the text tower; beyond it, classes are run in chunks, twice.
    "MEMORY_MB": 8192,
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
    cfg.DATASET.setdefault("FINGERPRINT", FINGERPRINTS[0])


def default_settings(trainer: str) -> CfgNode:
    """A fresh copy of one trainer's settings."""
    return CfgNode(dict(DEFAULTS[trainer.upper()]))


def merge_file(cfg: CfgNode, path: str) -> None:
    """`cfg.merge_from_file` with errors that name the file, the key and the nearest key.

    Raises:
        FileNotFoundError: no such file; the folder's YAML files are listed.
        OSError: one that cannot be read.
        ValueError: an unknown key, a value of the wrong type, or no YAML mapping.
    """
    file = Path(path)
    if not file.is_file():
        beside = sorted(p.name for p in file.parent.glob("*.yaml"))
        near = difflib.get_close_matches(file.name, beside, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]}? " if near else ""
        there = ", ".join(beside) or "no YAML file"
        raise FileNotFoundError(f"no config file {path}: {hint}{file.parent} has {there}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError:
        raise
    except Exception as error:  # the YAML reader's own errors have no common type
        raise ValueError(f"{path} is not a YAML config: {error}") from None
    if not isinstance(content, dict | None):
        raise ValueError(f"{path} is not a YAML config: it holds a {type(content).__name__}")
    for key, value in flatten(CfgNode(content)).items():
        _merge(cfg, key, value, f" (in {path})")


def merge_options(cfg: CfgNode, options: Sequence[Any]) -> None:
    """`cfg.merge_from_list` for `KEY VALUE` pairs, with the same errors as `merge_file`."""
    if len(options) % 2:
        raise ValueError(f"options come in pairs KEY VALUE; {options[-1]!r} has no value")
    for key, value in zip(options[::2], options[1::2], strict=True):
        _merge(cfg, key, value, "")


def _merge(cfg: CfgNode, key: str, value: Any, where: str) -> None:
    known = flatten(cfg)
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
        hint = f": did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown config key {key}{where}{hint}")
    wanted, decoded = known[key], CfgNode._decode_cfg_value(value)
    if isinstance(wanted, str) and not isinstance(decoded, str) and isinstance(value, str):
        decoded = value  # a folder may be called 123, a sentence "None"
    elif isinstance(wanted, float) and type(decoded) is int:
        decoded = float(decoded)  # which yacs refuses
    *path, leaf = key.split(".")
    node = functools.reduce(getattr, path, cfg)
    if {type(decoded), type(wanted)} == {tuple, list}:
        decoded = type(wanted)(decoded)
    elif wanted is not None and type(decoded) is not type(wanted):
        raise ValueError(
            f"{key} {value!r}{where}: wants {type(wanted).__name__} such as {wanted!r}, got "
            f"{type(decoded).__name__}"
        )
    if isinstance(decoded, float) and math.isnan(decoded):
        raise ValueError(f"{key} {value!r}{where}: wants a number")
    node[leaf] = decoded


def flatten(node: CfgNode, prefix: str = "") -> dict[str, Any]:
    """All leaves of a config by their full keys."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, CfgNode):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def require_known(what: str, value: str, known: Iterable[str]) -> None:
    """`ValueError` with the nearest valid names unless `value` is one of them."""
    known = list(known)
    if value in known:
        return
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=2, cutoff=0.4)
    hint = f"did you mean {' or '.join(by_lower[name] for name in near)}? " if near else ""
    raise ValueError(f"{what} {value!r} is unknown: {hint}known are {', '.join(sorted(known))}")


class Check:
    """Refuses settings of one node with the full key, the value and what is allowed."""

    def __init__(self, settings: CfgNode, trainer: str):
        self.settings, self.path = settings, f"TRAINER.{trainer.upper()}"

    def one_of(self, key: str, allowed: Iterable[str]) -> None:
        require_known(f"{self.path}.{key}", self.settings[key], allowed)

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
