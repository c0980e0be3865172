"""Whether a run has the settings of the published table that it would be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from ..config import flatten
from .provenance import FREE, FREE_IN_TESTS, short
from .tree import is_zero_shot, other_backbone, shots_of

FILE_NAME = "defaults.yaml"
# What the published programs leave at Dassl's default, where their configs name nothing else.
HOST_DEFAULTS = {
    "INPUT.AS_SEEN": "auto",
    "INPUT.INTERPOLATION": "bilinear",
    "INPUT.RESIZE_MODE": "shortest",
    "INPUT.RRCROP_SCALE": [0.08, 1.0],
    "DATALOADER.K_TRANSFORMS": 1,
    "DATALOADER.TRAIN_X.SAMPLER": "RandomSampler",
    "DATALOADER.TRAIN_X.BATCH_SIZE": 32,
    "OPTIM.NAME": "adam",
    "OPTIM.LR": 3e-4,
    "OPTIM.WEIGHT_DECAY": 5e-4,
    "OPTIM.MOMENTUM": 0.9,
    "OPTIM.SGD_DAMPNING": 0,
    "OPTIM.SGD_NESTEROV": False,
    "OPTIM.ADAM_BETA1": 0.9,
    "OPTIM.ADAM_BETA2": 0.999,
    "OPTIM.STAGED_LR": False,
    "OPTIM.MAX_EPOCH": 10,
    "OPTIM.LR_SCHEDULER": "single_step",
    "OPTIM.STEPSIZE": [-1],
    "OPTIM.GAMMA": 0.1,
    "OPTIM.WARMUP_EPOCH": -1,
    "OPTIM.WARMUP_TYPE": "linear",
    "OPTIM.WARMUP_CONS_LR": 1e-5,
    "OPTIM.WARMUP_MIN_LR": 1e-5,
    "OPTIM.WARMUP_RECOUNT": True,
    "TRAIN.COUNT_ITER": "train_x",
}
_BESIDES = (*FREE_IN_TESTS, "SEED")  # compared otherwise, or of no effect


class PublishedConfigs:
    """The configs that published tables were made with.

    Args:
        folder: with `defaults.yaml`, which names the config of each method, protocol, data set and
            number of shots, and with `trainers/` and `datasets/`.
        defaults: the settings of a method that its configs need not name, by their full keys.
        in_stages: whether a method is trained from prompts of an earlier run.
    """

    def __init__(
        self,
        folder: Path,
        defaults: Callable[[str], Mapping[str, Any]],
        in_stages: Callable[[str], bool] = lambda method: False,
    ):
        self.folder, self.defaults, self.in_stages = folder, defaults, in_stages

    @cached_property
    def _table(self) -> Mapping[str, Any]:
        file = self.folder / FILE_NAME
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}

    @cached_property
    def _datasets(self) -> Mapping[str, str]:
        """Config names of data sets, by their `DATASET.NAME`."""
        found = {}
        for file in sorted(self.folder.glob("datasets/*.yaml")):
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            found[content.get("DATASET", {}).get("NAME", file.stem)] = file.stem
        return found

    def unlike(self, result: Mapping[str, Any], protocol: str) -> str:
        """Why the settings of a result are not known to be the published ones; "" if they are.

        Settings that only say where and how to run, and the backbone, are not compared.
        """
        if other_backbone(result):
            return "prompts of another backbone"
        record = result.get("trained_by") or result.get("made_of")
        if record is None:
            return "settings are not recorded"
        if not self._table:
            return f"published settings are not here: there is no {self.folder / FILE_NAME}"
        name = self._name(result, protocol)
        file = self.folder / "trainers" / result["method"] / f"{name}.yaml"
        if not name or not file.is_file():
            return "no config is known to be the published one"
        if bool(record.get("initial_weights")) != self.in_stages(result["method"]):
            start = "given weights" if record["initial_weights"] else "no earlier stage's weights"
            return f"other settings: training started from {start}"
        wanted = HOST_DEFAULTS | dict(self.defaults(result["method"])) | _settings(file)
        for key, here in record["settings"].items():
            if key in wanted and key not in FREE and not key.startswith(_BESIDES):
                there = _plain(wanted[key])
                if _plain(here) != there:
                    return f"other settings: {key} is {short(there)} published, {short(here)} here"
        return ""

    def _name(self, result: Mapping[str, Any], protocol: str) -> str | None:
        configs = self._table.get(result["method"], {})
        own = configs.get("cross_dataset" if protocol == "domain" else protocol, {})
        dataset = self._datasets.get(result["dataset"], "")
        if "transfer" in result:
            dataset = result["transfer"].source
        chosen = own.get(dataset, own.get("default"))
        if isinstance(chosen, dict):
            if is_zero_shot(result):
                return next(iter(chosen.values()))
            return chosen.get(shots_of(result))
        return chosen


def _settings(file: Path) -> dict[str, Any]:
    return flatten(CfgNode(yaml.safe_load(file.read_text(encoding="utf-8")) or {}))


def _plain(value: Any) -> Any:
    """A value as a record has it; files write tuples and small numbers as text."""
    decoded = CfgNode._decode_cfg_value(value)
    return list(decoded) if isinstance(decoded, tuple | list) else decoded
