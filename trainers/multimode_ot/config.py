"""Settings: what declares one, how files and options are merged, what refuses a bad value early.

A trainer's settings live in `cfg.TRAINER.<NAME IN CAPITALS>`, as everywhere in this ecosystem; they
are declared by the method (`methods.base`). Nothing here is heavier than yacs.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yacs.config import CfgNode

PRECISIONS = ("fp32", "fp16", "bf16", "amp")
# What identifies the images of a run: their list with file sizes, and also every byte of them
# (auto: where that is quick).
FINGERPRINTS = ("auto", "sizes", "content")
# Whose size, mean, deviation, interpolation and resizing pictures get.
PREPROCESSINGS = ("config", "backbone")


@dataclass(frozen=True)
class Setting:
    """One setting of a method: its default, one line on it, and what values it may have.

    Attributes:
        default: also says the type.
        help: one line.
        one_of: the only values.
        least: the smallest value.
        above: what it must be larger than.
        below: what it must be less than.
        layers_left: of a setting that counts layers, how many of a tower must be left over: where
            the defaults meet a tower that is too short for them, they go by it.
    """

    default: Any
    help: str
    one_of: tuple[Any, ...] = ()
    least: float | None = None
    above: float | None = None
    below: float | None = None
    layers_left: int | None = None


# A method's settings by name; a nested table is a part that the method may take (a regulariser).
Settings = Mapping[str, "Setting | Mapping[str, Setting]"]


@dataclass(frozen=True)
class Original:
    """What a setting of a method's original repository is here.

    Attributes:
        key: the setting's name below the method's node; "" for one that does nothing.
        convert: makes its value of the original's; raises `ValueError` for one that cannot be.
            Without a key: all that the setting does.
        whole: `key` is a whole one, of a setting that is no method's.
    """

    key: str = ""
    convert: Callable[[Any], Any] | None = None
    whole: bool = False


@dataclass(frozen=True)
class Originals:
    """The settings of a method as the files and scripts of its original repository have them.

    Attributes:
        node: the method's own, such as `TRAINER.KGCOOP`.
        settings: the original's full keys, such as `TRAINER.COOP.W`, and what they are below it.
    """

    node: str = ""
    settings: Mapping[str, Original] = field(default_factory=dict)

    def translated(self, key: str, value: Any, where: str) -> tuple[str, Any, str] | None:
        """Key, value and place of a setting under its own name; None (and a printed word) for one
        that does nothing."""
        if key not in self.settings:
            return key, value, where
        original = self.settings[key]
        if original.convert:
            try:
                value = original.convert(CfgNode._decode_cfg_value(value))
            except ValueError as error:
                raise ValueError(f"{key} {value!r}{where}: {error}") from None
        if original.key:
            own = original.key if original.whole else f"{self.node}.{original.key}"
            return own, value, where if own == key else f" ({key}{where and f', {where[2:-1]}'})"
        if not original.convert:
            print(f"{key} {value!r}{where} does nothing for {self.node}")
        return None


AS_HERE = Originals()


def add_defaults(node: CfgNode, settings: Settings) -> CfgNode:
    """Put the defaults of `settings` where `node` has no value of its own."""
    for key, setting in settings.items():
        if isinstance(setting, Setting):
            node.setdefault(key, setting.default)
        else:
            add_defaults(node.setdefault(key, CfgNode()), setting)
    return node


def add_shared_defaults(cfg: CfgNode) -> None:
    """Add what all methods read and Dassl's own defaults lack; keys that exist stay."""
    dataset = cfg.setdefault("DATASET", CfgNode())
    dataset.setdefault("SUBSAMPLE_CLASSES", "all")
    dataset.setdefault("FINGERPRINT", FINGERPRINTS[0])
    backbone = cfg.setdefault("MODEL", CfgNode()).setdefault("BACKBONE", CfgNode())
    backbone.setdefault("ACTIVATION", None)
    backbone.setdefault("HEAD_WIDTH", None)
    backbone.setdefault("PREPROCESSING", PREPROCESSINGS[0])
    backbone.setdefault("ALLOW_OTHER", False)
    cfg.setdefault("INPUT", CfgNode()).setdefault("RESIZE_MODE", "shortest")


def merge_file(
    cfg: CfgNode,
    path: str,
    skip: Callable[[str], bool] = lambda key: False,
    originals: Originals = AS_HERE,
) -> None:
    """`cfg.merge_from_file` with errors that name the file, the key and the nearest key.

    Args:
        skip: which keys are left alone, known or not.
        originals: names and values that are another method's, or none, in `cfg`.

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
        if not skip(key):
            _merge(cfg, key, value, f" (in {path})", originals)


def merge_options(
    cfg: CfgNode,
    options: Sequence[Any],
    skip: Callable[[str], bool] = lambda key: False,
    originals: Originals = AS_HERE,
) -> None:
    """`cfg.merge_from_list` for `KEY VALUE` pairs, otherwise as `merge_file`."""
    if len(options) % 2:
        raise ValueError(f"options come in pairs KEY VALUE; {options[-1]!r} has no value")
    for key, value in zip(options[::2], options[1::2], strict=True):
        if not skip(str(key)):
            _merge(cfg, key, value, "", originals)


def _merge(cfg: CfgNode, key: str, value: Any, where: str, originals: Originals) -> None:
    translated = originals.translated(key, value, where)
    if translated is None:
        return
    key, value, where = translated
    known = flatten(cfg)
    if key not in known:
        near = difflib.get_close_matches(key, [*known, *originals.settings], n=1, cutoff=0.3)
        hint = f": did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown config key {key}{where}{hint}")
    wanted, decoded = known[key], CfgNode._decode_cfg_value(value)
    if isinstance(wanted, str) and not isinstance(decoded, str) and isinstance(value, str):
        decoded = value  # a folder may be called 123, a sentence "None"
    elif isinstance(wanted, float) and type(decoded) is int:
        decoded = float(decoded)  # which yacs refuses
    elif isinstance(wanted, tuple | list) and isinstance(decoded, str):
        decoded = _words(wanted, decoded)
    *path, leaf = key.split(".")
    node = functools.reduce(getattr, path, cfg)
    if {type(decoded), type(wanted)} == {tuple, list}:
        decoded = type(wanted)(decoded)
    elif wanted is not None and type(decoded) is not type(wanted):
        example = "a,b" if wanted in ((), []) else repr(wanted)
        raise ValueError(
            f"{key} {value!r}{where}: wants {type(wanted).__name__} such as {example}, got "
            f"{type(decoded).__name__}"
        )
    if isinstance(decoded, float) and math.isnan(decoded):
        raise ValueError(f"{key} {value!r}{where}: wants a number")
    node[leaf] = decoded


def _words(wanted: tuple | list, text: str) -> Any:
    """`a` and `a,b` as the tuple or list that a setting of words wants; all else as it is."""
    words = [word.strip() for word in text.split(",")]
    plain = all(words) and not any(mark in text for mark in "()[]{}'\"")
    return words if plain and all(isinstance(word, str) for word in wanted) else text


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
    near = difflib.get_close_matches(str(value).lower(), by_lower, n=2, cutoff=0.4)
    hint = f"did you mean {' or '.join(by_lower[name] for name in near)}? " if near else ""
    raise ValueError(f"{what} {value!r} is unknown: {hint}known are {', '.join(sorted(known))}")


class Check:
    """Refuses settings of one node with the full key, the value and what is allowed.

    Args:
        settings: the node.
        path: of the node in a whole config, such as `TRAINER.COOP`.
    """

    def __init__(self, settings: CfgNode, path: str):
        self.settings, self.path = settings, path

    def declared(self, settings: Settings) -> None:
        """Whatever the declarations of the settings rule out."""
        for key, setting in settings.items():
            if not isinstance(setting, Setting):
                continue
            if setting.one_of:
                self.one_of(key, setting.one_of)
            if setting.least is not None:
                self.at_least(key, setting.least)
            if setting.above is not None and not self.settings[key] > setting.above:
                self.refuse(key, f"must be more than {setting.above}")
            if setting.below is not None and not self.settings[key] < setting.below:
                self.refuse(key, f"must be less than {setting.below}")

    def one_of(self, key: str, allowed: Iterable[str]) -> None:
        require_known(f"{self.path}.{key}", self.settings[key], allowed)

    def at_least(self, key: str, smallest: float) -> None:
        if not self.settings[key] >= smallest:
            self.refuse(key, f"must be at least {smallest}")

    def at_most(self, key: str, largest: int, why: str) -> None:
        if self.settings[key] > largest:
            self.refuse(key, f"must be at most {largest}: {why}")

    def refuse(self, key: str, reason: str) -> NoReturn:
        raise ValueError(f"{self.path}.{key} {self.settings[key]!r}: {reason}")
