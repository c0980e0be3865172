"""One call of a trainer, from its first second to `results.json`: what it is made of, whether its
output folder and its checkpoints are made of the same, and what was tested in the end."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..backbone.loading import backbone_record
from ..backbone.state_dicts import tensors_digest
from ..methods.base import PromptedCLIP
from ..results.provenance import data_of_run, describe, differences, settings_of_run
from ..results.results_json import FILE_NAME, config_hash, read_results, write_results
from ..results.run_folder import RunFolder
from .backbone import require_backbone
from .checkpoints import read_checkpoint, record_in
from .evaluation import Predictions
from .machine import device_name, peak_memory_mb, versions

UNCHECKED = "its settings, data, classes and backbone cannot be checked"


class Run:
    """The run in `cfg.OUTPUT_DIR`.

    Attributes:
        record: what it is made of, as far as that is known (`provenance`).
        trains: whether weights are trained in this call.
        tested: the checkpoint that is evaluated: `path`, `epoch`, `best` (the best on validation
            images), and the `record` of the run that made it, if it is known.

    Raises:
        ValueError: the folder holds another run; what differs is named, with both values.
    """

    def __init__(self, cfg: CfgNode, method: type[PromptedCLIP]):
        self.cfg, self.method = cfg, method
        self.trains = False
        self.tested: dict[str, Any] | None = None
        self.started = time.time()
        self.folder = RunFolder(cfg.OUTPUT_DIR)
        self.record = settings_record(cfg, method)
        self._require_same_version()
        self._claim()

    def _claim(self) -> None:
        name = self.method.checkpoint_name
        self.folder.claim({**self.record, "versions": versions()}, self.folder.is_used(name))

    def _require_same_version(self) -> None:
        """What is known of runs of earlier versions, which have no record."""
        file = self.folder.directory / FILE_NAME
        if self.folder.read() is not None or not file.is_file():
            return
        old, new = (
            read_results(file).get("config_hash"),
            config_hash(self.cfg, bool(self.method.trains)),
        )
        if old != new:
            raise ValueError(
                f"{file} was made by an earlier version, with other settings (config {old}, asked "
                f"for {new}): choose another output folder, or remove this one"
            )
        print(f"{file} was made by an earlier version: {UNCHECKED}")

    def has_backbone(self, clip: CLIP) -> None:
        """The backbone is loaded.

        Raises:
            ValueError: MODEL.INIT_WEIGHTS are another one's.
        """
        self.record["backbone"] = backbone_record(clip)
        self._require_start()
        self._claim()

    def _require_start(self) -> None:
        """Refuse initial weights of another backbone, or put it into the record."""
        initial = self.cfg.MODEL.INIT_WEIGHTS
        record = record_in(read_checkpoint(initial)) if initial else None
        if record is None or "backbone" not in record:
            return
        own = {"backbone": self.record["backbone"]}
        found = differences({"backbone": record["backbone"]}, own)
        require_backbone(found, initial, self.cfg)
        first = record.get("initial_backbone", record["backbone"])
        if first["sha256"] != self.record["backbone"]["sha256"]:
            self.record["initial_backbone"] = first

    def has_data(self, dataset: Any) -> None:
        """The data set is read."""
        self.record |= data_of_run(dataset, self.cfg, bool(self.method.trains))
        self._claim()
        self.started = time.time()

    def require_same_checkpoint(self, directory: str) -> None:
        """Refuse to go on from checkpoints of another run."""
        pointer = Path(directory) / self.method.checkpoint_name / "checkpoint"
        if not pointer.is_file():
            return
        newest = pointer.with_name(pointer.read_text(encoding="utf-8").partition("\n")[0].strip())
        for path in [newest, *sorted(set(pointer.parent.glob("model*")) - {newest})]:
            try:
                record = record_in(read_checkpoint(path))
            except (OSError, ValueError):  # the host takes an older one, or says what is wrong
                continue
            self._require_same_record(record, path, directory)
            if path == newest:
                return

    def _require_same_record(
        self, record: dict[str, Any] | None, path: Path, directory: str
    ) -> None:
        if record is None:
            print(f"{path} was made by an original or an earlier version: {UNCHECKED}")
            return
        found = differences(record, self.record)
        if found:
            raise ValueError(
                f"{directory} holds checkpoints of another run: {describe(found)}. Choose another "
                "output folder, or remove this one"
            )

    def require_fitting(self, checkpoint: dict[str, Any], path: Path, best: bool) -> None:
        """Refuse to test weights under other settings than those that they were trained with."""
        record = record_in(checkpoint)
        epoch = checkpoint.get("epoch")
        self.tested = {"path": path, "epoch": epoch, "best": best, "record": record}
        if record is None:
            print(f"{path} was made by an original or an earlier version: {UNCHECKED}")
            return
        found = differences(record, self.record, testing=True)
        found = require_backbone(found, path, self.cfg, said="initial_backbone" in self.record)
        if found:
            raise ValueError(f"{path} was trained with other settings: {describe(found)}")
        if record["method_version"] != self.method.version:
            print(
                f"{path} was trained by version {record['method_version']} of {self.method.name}; "
                f"this is version {self.method.version}"
            )

    def require_own_results(self, model: PromptedCLIP) -> None:
        """Refuse to replace results of other weights, which may be those of a finished training."""
        file = self.folder.directory / FILE_NAME
        if self.trains or not file.is_file():
            return
        results = read_results(file)
        if results.get("weights", weights_digest(model)) != weights_digest(model):
            held, asked = results.get("epoch"), self.tested and self.tested["epoch"]
            raise ValueError(
                f"{file} has the results of other weights (epoch {held}; asked for: epoch {asked}):"
                " choose another output folder, or remove this one"
            )

    def tuned_on(self) -> str:
        """The images that the method's hyper-parameters are searched on, "val" or "test", or ""."""
        on = self.cfg.TRAINER[self.method.name.upper()].get("TUNE", "none")
        return "" if on == "none" else on

    def selection(self) -> dict[str, Any]:
        """Which weights are tested: `rule`, `epoch`, and the `split` that they, or the method's
        hyper-parameters, were chosen on; with a `remark` where that is the test images."""
        found = self._epoch_selection()
        tuned = self.tuned_on()
        if tuned:
            on_test = "test" in (tuned, found["split"]) or self._val_is_in_test()
            found |= {"tuned": tuned, "split": "test" if on_test else tuned}
        if found["split"] == "test":
            found["remark"] = "selected on test"
        return found

    def _epoch_selection(self) -> dict[str, Any]:
        best = self.cfg.TEST.FINAL_MODEL == "best_val" and not self.cfg.TEST.NO_TEST
        tested, last = self.tested, self.cfg.OPTIM.MAX_EPOCH
        if not self.method.trains:
            return {"rule": "none", "epoch": 0, "split": None}
        if tested is None:
            epoch = last if self.trains else 0
            given = "epoch" if self.record["initial_weights"] else "initial"
            return {"rule": "last_step" if self.trains else given, "epoch": epoch, "split": None}
        if not self.trains:
            best = tested["best"]
        if best:
            split = "test" if self._val_is_in_test() else "val"
            return {"rule": "best_val", "epoch": tested["epoch"], "split": split}
        rule = "last_step" if tested["epoch"] == last else "epoch"
        return {"rule": rule, "epoch": tested["epoch"] or 0, "split": None}

    def _val_is_in_test(self) -> bool:
        """Whether some validation image of the training is a test image."""
        trained_by = self.record if self.trains else (self.tested or {}).get("record")
        return bool((trained_by or {}).get("data", {}).get("val", {}).get("also_in_test"))

    def _added(self) -> list[str]:
        """The regularisers that the method does not take by itself."""
        usual = self.method.all_settings()["REGULARISERS"].default
        listed = self.cfg.TRAINER[self.method.name.upper()].REGULARISERS
        return [name for name in listed if name not in usual]

    def _places(self) -> dict[str, str | None]:
        """Where the images are, and, seen from the output folder, the weights that are tested."""
        directory, path = os.path.abspath(self.folder.directory), None
        if self.tested is not None:
            path = self.tested["path"]
        elif self.trains:
            last = f"model.pth.tar-{self.cfg.OPTIM.MAX_EPOCH}"
            path = Path(directory) / self.method.checkpoint_name / last
        return {
            "data_root": os.path.abspath(os.path.expanduser(self.cfg.DATASET.ROOT)),
            "checkpoint": None if path is None else _seen_from(directory, path),
        }

    def write_results(self, trainer: Any, predictions: Predictions, split: str) -> None:
        """Write `predictions.csv`, then `results.json`, the last file of a run."""
        cfg, trains, model = self.cfg, bool(self.method.trains), trainer.model
        trained_by = None if self.trains else (self.tested or {}).get("record")
        settings = (trained_by or self.record)["settings"]
        selection = self.selection()
        directory = self.folder.directory
        predictions.write(directory, cfg.DATASET.ROOT)
        dataset = trainer.dm.dataset
        measures = predictions.measures()
        path = write_results(
            directory,
            {
                "method": self.method.name,
                "regularisers": self._added(),
                "dataset": cfg.DATASET.NAME,
                "subset": cfg.DATASET.SUBSAMPLE_CLASSES,
                "split": split,
                "shots": settings["DATASET.NUM_SHOTS"] if trains else 0,
                "seed": settings.get("SEED", cfg.SEED),
                "epoch": selection["epoch"],
                "selection": selection,
                **({"chosen": model.chosen} if model.chosen else {}),
                **({"new_is_zero_shot": True} if model.new_is_zero_shot else {}),
                **measures,
                "skipped": len(getattr(dataset, split) or ()) - measures["total"],
                "trained_parameters": sum(p.numel() for p in model.trained()) if trains else 0,
                "seconds": time.time() - getattr(trainer, "time_start", self.started),
                "peak_memory_mb": peak_memory_mb(),
                "device": device_name(trainer.device),
                "backbone": cfg.MODEL.BACKBONE.NAME,
                "places": self._places(),
                "as_seen": getattr(trainer.test_loader.dataset, "as_seen", False),
                "config_hash": config_hash(cfg, trains),
                "weights": weights_digest(model),
                "made_of": self.record,
                "trained_by": trained_by,
                "versions": versions(),
            },
        )
        print(f"Results written to {path}")


def settings_record(cfg: CfgNode, method: type[PromptedCLIP]) -> dict[str, Any]:
    """The part of a record that a config alone tells.

    Raises:
        OSError, ValueError: MODEL.INIT_WEIGHTS is not there or no checkpoint.
    """
    initial = cfg.MODEL.INIT_WEIGHTS
    state = read_checkpoint(initial)["state_dict"] if initial else None
    settings = cfg.TRAINER[method.name.upper()]
    files = method.training_files(settings, cfg.DATASET.NAME)
    digests = {key: hashlib.sha256(file.read_bytes()).hexdigest() for key, file in files.items()}
    return {
        "method": method.name,
        "method_version": method.version,
        "settings": settings_of_run(cfg, bool(method.trains)),
        "initial_weights": state and tensors_digest(state),
        **({"training_files": digests} if digests else {}),
    }


def _seen_from(directory: str, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, directory)).as_posix()
    except ValueError:  # on another drive of Windows
        return os.path.abspath(path)


def weights_digest(model: PromptedCLIP) -> str | None:
    """Identifies the trained values that a model has now; None where nothing is trained."""
    return tensors_digest(model.prompt_learner.state_dict()) if model.trains else None
