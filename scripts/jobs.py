"""One method with one seed on one data set, and what the words of a call and the environment say.

Nothing here is heavier than yacs, unless the method is a stranger's or has regularisers added.

Settings from the environment: DATA (data root), OUTPUT (output root), CONFIG (a config of the
method, without its ending).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from method_configs import CHECKOUT, config_file, config_name
from multimode_ot.config import require_known
from multimode_ot.files import require_folder
from multimode_ot.methods import find_method, method_names
from multimode_ot.results.tree import method_of
from yacs.config import CfgNode

sys.path.insert(0, str(CHECKOUT))

import train

ZERO_SHOT = ("ZeroshotCLIP", "ZeroshotCLIP2")


@dataclass(frozen=True)
class Job:
    """One method with one seed on one data set."""

    protocol: str
    method: str
    seed: int
    dataset: str
    shots: int
    options: tuple[str, ...] = ()
    common_backbone: bool = False  # as the other methods' instead of as published
    method_files: tuple[str, ...] = ()
    place: str = ""  # the folder below OUTPUT that has its runs; "": the protocol's

    @property
    def trains(self) -> bool:
        return bool(find_method(self.method).trains)

    @cached_property
    def config(self) -> str:
        """The published config of this protocol, unless CONFIG names another."""
        named = os.environ.get("CONFIG")
        # Zero-shot CLIP stands beside every method and may lack a config of that name.
        if named and (self.method not in ZERO_SHOT or config_file(self.method, named).is_file()):
            return named
        about = self.protocol, self.dataset, self.shots, self.common_backbone
        return config_name(self.method, *about)

    @property
    def config_file(self) -> Path:
        return config_file(self.method, self.config)

    @cached_property
    def added(self) -> list[str]:
        """The regularisers that the method does not take by itself.

        Raises:
            OSError, ValueError: what `train.setup_cfg` refuses.
        """
        node = f"TRAINER.{self.method.upper()}"
        key, file = f"{node}.REGULARISERS", self.config_file
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        if key not in self.options and "REGULARISERS" not in text:
            return []
        listed = train.setup_cfg(train.parse_arguments(self.words())).TRAINER[node[8:]].REGULARISERS
        usual = find_method(self.method).all_settings()["REGULARISERS"].default
        return [name for name in listed if name not in usual]

    @property
    def label(self) -> str:
        """The method as folders and METHODS name it, such as `CoOp+weight_average`."""
        return "+".join([self.method, *self.added])

    @property
    def row(self) -> str:
        """The method as tables name it, such as `CoOp + weight average`."""
        return method_of({"method": self.method, "regularisers": self.added})

    @property
    def call(self) -> str:
        """The words of a script's call for it."""
        files = [word for file in self.method_files for word in ("--method-file", file)]
        return " ".join([self.label, str(self.seed), self.dataset, *files])

    def folder(self, template: str) -> Path:
        """An output folder; `{...}` in the template are this job's own values."""
        return output_root() / template.format(
            place=self.place or self.protocol,
            dataset=self.dataset,
            shots=self.shots,
            method=self.label,
            config=self.config,
            seed=self.seed,
        )

    def words(
        self, dataset: str = "", options: tuple[str, ...] = (), more: tuple[str, ...] = ()
    ) -> list[str]:
        """Arguments of train.py.

        Args:
            dataset: another data set than the job's.
            options: KEY VALUE pairs before the job's own.
            more: what stands before all KEY VALUE pairs.
        """
        words = ["--root", data_root(), "--seed", self.seed, "--trainer", self.method]
        data = CHECKOUT / f"configs/datasets/{dataset or self.dataset}.yaml"
        words += ["--dataset-config-file", data, "--config-file", self.config_file]
        for file in self.method_files:
            words += ["--method-file", file]
        return [str(word) for word in [*words, *more, *options, *self.options]]

    def check(self, dataset: str = "", options: tuple[str, ...] = ()) -> CfgNode:
        """Refuse what is told without importing torch; see `words` and `train.light_cfg`."""
        return train.light_cfg(train.parse_arguments(self.words(dataset, options)))


def method_and_options(word: str, what: str) -> tuple[str, tuple[str, ...]]:
    """A method as a call names it, and the KEY VALUE pair of `CoOp+weight_average`.

    Raises:
        ValueError: an unknown method or regulariser, or one that the method takes by itself.
    """
    method, *parts = word.split("+")
    require_known(what, method, method_names())
    if not parts:
        return method, ()
    from multimode_ot.regularisers import REGULARISERS

    usual = find_method(method).all_settings()["REGULARISERS"].default
    for part in parts:
        require_known(f"{what} {word}: regulariser", part, REGULARISERS)
        if part in usual:
            raise ValueError(f"{what} {word}: {method} takes {part} by itself")
    return method, (f"TRAINER.{method.upper()}.REGULARISERS", ",".join([*usual, *parts]))


def no_new_classes(method: str) -> str:
    """Why a method cannot be tested on other classes than it was trained on; "" where it can."""
    reason = find_method(method).no_new_classes
    return reason and f"{method} cannot be tested on new classes: {reason}"


def output_root() -> Path:
    root = Path(os.environ.get("OUTPUT") or CHECKOUT / "output").expanduser().resolve()
    return require_folder(root, "OUTPUT")


def data_root() -> Path:
    return Path(os.environ.get("DATA") or CHECKOUT / "data").expanduser().resolve()
