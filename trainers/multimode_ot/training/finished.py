"""A finished run, rebuilt from its folder alone: settings, classes, weights, what it predicted.

Needs no Dassl, so that whoever has the folder and the backbone can look at a run or use it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import load_recorded
from ..backbone.state_dicts import tensors_digest
from ..config import add_defaults
from ..methods import find_method, method_names
from ..methods.base import PromptedCLIP
from ..methods.build import build_model
from ..methods.class_bound import ClassBound
from ..methods.prompts import CLASS_NAMES, class_ids_in, class_names_in
from ..results.finished import results_of_run
from ..results.predictions import FILE_NAME as PREDICTIONS
from ..results.provenance import BACKBONE, describe, differences
from ..results.records import check_record, require_settings
from ..results.results_json import FILE_NAME
from .checkpoints import BEST, read_checkpoint, record_in

# Of a record's settings those without which no picture can be shown to its model.
READ_BY = (
    *(f"INPUT.{key}" for key in ("SIZE", "INTERPOLATION", "TRANSFORMS", "PIXEL_MEAN", "PIXEL_STD")),
    "DATALOADER.TEST.BATCH_SIZE",
)


class FinishedRun:
    """The run in an output folder that `train.py` or a script has filled.

    Args:
        directory: the folder, with its `results.json`.
        backbone: a name or file to load the backbone from, where that of the run is elsewhere now.
        root: the data root, likewise.
        checkpoint: the file of the weights, likewise.

    Attributes:
        results: the content of `results.json`.
        record: what the run is made of (`results.provenance`).
        method: the method's class.
        cfg: a whole config as far as results depend on it, frozen: `INPUT`, `OPTIM`, `DATASET`, ...
            and the method's own node. Places (`OUTPUT_DIR`, `DATASET.ROOT`) are not in it.
        classnames: of the classes that it was tested on.
        as_seen: whether its images were turned upright and laid on white when they were read.

    Raises:
        FileNotFoundError: no such folder, or one without results: the run is not finished.
        ValueError: results of an earlier version, which do not say what they are made of, of an
            unknown method, or other than `run.json` says.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        backbone: str | None = None,
        root: str | os.PathLike | None = None,
        checkpoint: str | os.PathLike | None = None,
    ):
        self.directory = Path(directory)
        self.results = results_of_run(self.directory)
        self.record: dict[str, Any] = self.results["made_of"]
        self.method = _method_of(self.results, self.directory)
        require_settings(self.record["settings"], READ_BY, str(self.directory / FILE_NAME))
        self.cfg = config_of(self.record)
        self.classnames = list(self.record["classes"])
        self.as_seen = self._as_seen()
        self._backbone, self._root = backbone, root
        self._checkpoint = None if checkpoint is None else Path(checkpoint)

    def _as_seen(self) -> bool:
        setting = self.record["settings"].get("INPUT.AS_SEEN", "auto")
        return self.results.get("as_seen", setting == "yes")

    @cached_property
    def root(self) -> Path:
        """The data root.

        Raises:
            FileNotFoundError: it is gone, or the run does not say where it was.
        """
        place = self._root or self.results.get("places", {}).get("data_root")
        if place is None:
            raise FileNotFoundError(
                f"{self.directory / FILE_NAME} does not say where its images are, as it is of an "
                "earlier version: give their data root with --root"
            )
        if not Path(place).is_dir():
            raise FileNotFoundError(
                f"the data root {place} of {self.directory} is not there: give its new place with "
                "--root"
            )
        return Path(place)

    def image_path(self, path: str) -> Path:
        """The file of a path of `predictions.csv`."""
        return Path(path) if os.path.isabs(path) else self.root / path

    @cached_property
    def predictions_file(self) -> Path:
        """`predictions.csv`; `FileNotFoundError` if it is gone."""
        file = self.directory / PREDICTIONS
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not there: run the evaluation again")
        return file

    @cached_property
    def clip(self) -> CLIP:
        """The backbone that the run was made with, float32.

        Raises:
            OSError: its weights are gone.
            ValueError: what its name stands for now is another one.
        """
        made_with = self.record["backbone"]
        name = self._backbone or made_with["name"]
        try:
            clip = load_recorded(made_with, name)
        except (OSError, ValueError) as error:
            raise type(error)(
                f"the backbone {name} of {self.directory} cannot be loaded ({error}); give its new "
                "place with --backbone"
            ) from None
        if clip.identity() != made_with["sha256"]:
            raise ValueError(
                f"{self.directory} was made with the backbone {made_with['name']} "
                f"({made_with['sha256'][:12]}), and {name} is another one now "
                f"({clip.identity()[:12]}): give the right one with --backbone"
            )
        return clip

    @cached_property
    def checkpoint_path(self) -> Path | None:
        """The file of the weights that were tested; None where nothing is trained.

        Raises:
            FileNotFoundError: it is gone.
        """
        if not self.method.trains:
            return None
        path = self._checkpoint or self._recorded_checkpoint()
        if not path.is_file():
            raise FileNotFoundError(
                f"the weights that {self.directory} was tested with are not there any more: {path};"
                " give their new place with --checkpoint"
            )
        return path

    def _recorded_checkpoint(self) -> Path:
        place = self.results.get("places", {}).get("checkpoint")
        if place is not None:
            return Path(os.path.normpath(self.directory / place))
        selection = self.results.get("selection", {})
        best = selection.get("rule") == "best_val"
        file = BEST if best else f"model.pth.tar-{self.results.get('epoch')}"
        return self.directory / self.method.checkpoint_name / file

    def model(self, device: torch.device | str = "cpu", trained: bool = True) -> PromptedCLIP:
        """The model that was tested, in evaluation mode.

        Args:
            trained: else as it was before the first step.

        Raises:
            OSError: backbone or weights are gone.
            ValueError: they are others than the run's.
        """
        state = None
        if self.checkpoint_path is not None and trained:
            state = self._state(self.checkpoint_path)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(max(self.record["settings"].get("SEED", 0), 0))
            model = build_model(
                self.method.name, self.clip, self.classnames, self.cfg, device, unique_names=False
            )
        if state is not None:
            self._load(model, state)
        return model.eval()

    def _state(self, path: Path) -> Mapping[str, Tensor]:
        checkpoint = read_checkpoint(path)
        record = record_in(checkpoint)
        if record is not None:
            check_record(record, path)
        trained_by = self.results.get("trained_by")
        # The weights may be of another backbone than they were tested on, if the results say so.
        made_of = self.record | {k: v for k, v in (trained_by or {}).items() if k == BACKBONE}
        elsewhere = trained_by is not None
        found = [] if record is None else differences(record, made_of, testing=elsewhere)
        if found:
            raise ValueError(f"{path} was trained with other settings: {describe(found)}")
        return checkpoint["state_dict"]

    def _load(self, model: PromptedCLIP, state: Mapping[str, Tensor]) -> None:
        if isinstance(model, ClassBound):
            kept = next((state[k] for k, v in model.prompt_keys(state).items() if v == CLASS_NAMES))
            if class_names_in(kept) == self.classnames:
                model.identify(class_ids_in(kept))
        try:
            report = model.load_prompts(state)
        except ValueError as error:
            raise ValueError(f"{self.checkpoint_path}: {error}") from None
        weights = tensors_digest(model.prompt_learner.state_dict())
        if report.missed or weights != self.results.get("weights", weights):
            raise ValueError(
                f"{self.checkpoint_path} has other weights than those that {self.directory} was "
                "tested with: give theirs with --checkpoint, or run the evaluation again"
            )


def config_of(record: Mapping[str, Any]) -> CfgNode:
    """The config that a run's record has the settings of; lists as tuples, as train.py has them."""
    cfg = CfgNode()
    for key, value in record["settings"].items():
        *path, leaf = key.split(".")
        node = cfg
        for name in path:
            node = node.setdefault(name, CfgNode())
        node[leaf] = tuple(value) if isinstance(value, list) else value
    method = find_method(record["method"])
    add_defaults(
        cfg.setdefault("TRAINER", CfgNode()).setdefault(method.name.upper(), CfgNode()),
        method.all_settings(),
    )
    cfg.freeze()
    return cfg


def _method_of(results: Mapping[str, Any], directory: Path) -> type[PromptedCLIP]:
    name = results["method"]
    if name not in method_names():
        raise ValueError(
            f"{directory} is a run of the method {name}, which is not known here: name its file "
            "with --method-file"
        )
    method = find_method(name)
    if method.version != results["made_of"].get("method_version"):
        raise ValueError(
            f"{directory} was made by version {results['made_of'].get('method_version')} of {name},"
            f" and this is version {method.version}, which computes something else: run it again"
        )
    return method
