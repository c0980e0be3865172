"""The Dassl trainer that all methods share: build, train, test, load. A method is a model class.

It is a Dassl `TrainerX` and uses nothing that the original Dassl lacks. Only the prompt learner is
registered, so only prompts are trained, saved and loaded.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import torch
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS
from dassl.optim.optimizer import AVAI_OPTIMS
from torch import Tensor, nn
from tqdm import tqdm
from yacs.config import CfgNode

from ..backbone.class_tokens import one_prompt
from ..backbone.clip import load_clip
from ..backbone.names import check_backbone
from ..config import FINGERPRINTS, Check, require_known
from ..methods.base import PromptedCLIP, settings_path
from ..methods.build import build_model, settings_of
from ..methods.prompts import CLASS_NAMES
from .checkpoints import (
    BEST,
    find_checkpoint,
    keep_state,
    put_record,
    read_checkpoint,
    take_state,
)
from .evaluation import Predictions
from .run import Run
from .step import training_step


class PromptTrainer(TrainerX):
    """Trains what `method` has to train, with its loss terms and those of its regularisers.

    Subclasses set `method`, the model class, and nothing else.

    Raises:
        ValueError: settings or weights that do not fit each other, or an output folder that holds
            another run. Nothing of the data has been touched by then.
    """

    method: ClassVar[type[PromptedCLIP]]

    def __init__(self, cfg: CfgNode) -> None:
        self.check_cfg(cfg)
        self.run = Run(cfg, self.method)
        self._clip = load_clip(cfg.MODEL.BACKBONE.NAME)
        self._try_settings(cfg)
        self.run.has_backbone(self._clip)
        super().__init__(cfg)

    @classmethod
    def check_cfg(cls, cfg: CfgNode) -> None:
        check_backbone(cfg.MODEL.BACKBONE.NAME)
        fingerprint = cfg.DATASET.get("FINGERPRINT", FINGERPRINTS[0])
        require_known("DATASET.FINGERPRINT", fingerprint, FINGERPRINTS)
        require_known("TEST.SPLIT", cfg.TEST.SPLIT, ("val", "test"))
        require_known("TEST.FINAL_MODEL", cfg.TEST.FINAL_MODEL, ("last_step", "best_val"))
        if cls.method.trains and cfg.OPTIM.MAX_EPOCH < 1:
            raise ValueError(f"OPTIM.MAX_EPOCH is {cfg.OPTIM.MAX_EPOCH}, but must be at least 1")
        for key, (value, wanted, reason) in {
            "INPUT.NO_TRANSFORM": (cfg.INPUT.NO_TRANSFORM, False, "CLIP takes tensors"),
            "DATALOADER.K_TRANSFORMS": (
                cfg.DATALOADER.K_TRANSFORMS,
                cls.method.views,
                f"so many views of an image {cls.method.name} trains on",
            ),
            "OPTIM.STAGED_LR": (cfg.OPTIM.STAGED_LR, False, "prompts have no layers"),
        }.items():
            if value != wanted:
                raise ValueError(f"{key} is {value}, but must be {wanted}: {reason}")
        if cls.method.trains:
            require_known("OPTIM.NAME", cfg.OPTIM.NAME, AVAI_OPTIMS)
            require_known("OPTIM.LR_SCHEDULER", cfg.OPTIM.LR_SCHEDULER, AVAI_SCHEDS)
            require_known("OPTIM.WARMUP_TYPE", cfg.OPTIM.WARMUP_TYPE, ("linear", "constant"))
            for key in ("LR", "WEIGHT_DECAY", "MOMENTUM"):
                if cfg.OPTIM[key] < 0:
                    raise ValueError(f"OPTIM.{key} is {cfg.OPTIM[key]}, but must be at least 0")
            steps = cfg.OPTIM.STEPSIZE
            if cfg.OPTIM.LR_SCHEDULER != "cosine" and not (
                steps and all(type(step) is int for step in steps)
            ):
                raise ValueError(f"OPTIM.STEPSIZE {steps}: wants whole numbers of epochs")
        name = cls.method.name
        cls.method.check_settings(Check(settings_of(cfg, name), settings_path(name)))

    def _try_settings(self, cfg: CfgNode) -> None:
        """Refuse what does not fit the backbone, before any data are read."""
        clip = self._clip
        if tuple(cfg.INPUT.SIZE) != (clip.resolution, clip.resolution):
            raise ValueError(
                f"INPUT.SIZE {tuple(cfg.INPUT.SIZE)}: {clip.name} takes "
                f"{(clip.resolution, clip.resolution)}"
            )
        if "normalize" not in cfg.INPUT.TRANSFORMS:
            print("INPUT.TRANSFORMS has no 'normalize': no CLIP was trained on such images")
        settings = settings_of(cfg, self.method.name).clone()
        settings.defrost()
        settings.PREC = "fp32"  # as the backbone was loaded: nothing is copied
        with torch.random.fork_rng(devices=[]):
            name = self.method.name
            model = build_model(name, clip, ["x"], settings, dataset=cfg.DATASET.NAME)
        if self.method.trains:
            try:
                optim = build_optimizer(model.trained(), cfg.OPTIM)
                build_lr_scheduler(optim, cfg.OPTIM)
            except Exception as error:  # torch has no common type for what it refuses
                if isinstance(error, TypeError) and "positional argument" in str(error):
                    raise ImportError(
                        f"the installed Dassl does not work with torch {torch.__version__} (its "
                        f"schedules fail: {error}): install the stand-in, pip install ./toolbox"
                    ) from error
                raise ValueError(f"OPTIM, of NAME {cfg.OPTIM.NAME!r}: {error}") from error
        initial = cfg.MODEL.INIT_WEIGHTS
        if initial:
            with redirect_stdout(io.StringIO()):
                state = read_checkpoint(initial)
                if CLASS_NAMES not in model.prompt_learner.state_dict():  # else it needs its own
                    self._load_prompts(initial, state, model)

    def build_model(self) -> None:
        cfg, name = self.cfg, self.method.name
        clip, classnames = self._clip, self.dm.dataset.classnames
        del self._clip
        if cfg.TEST.SPLIT == "val":
            self._require_validation_images("TEST.SPLIT", "val", "test")
        self.run.has_data(self.dm.dataset)
        for names in one_prompt(classnames, clip.context_length):
            print(f"Of the classes {', '.join(map(repr, names))} only the first can be predicted")
        self.model = build_model(name, clip, classnames, cfg, self.device, unique_names=False)
        self.class_features: Any = None

        learner = self.model.prompt_learner
        trained = sum(p.numel() for p in self.model.trained())
        print(f"{name} on {clip.name}: {len(classnames)} classes, {trained:,} trained parameters")
        if cfg.MODEL.INIT_WEIGHTS:
            initial = read_checkpoint(cfg.MODEL.INIT_WEIGHTS)
            self._load_prompts(cfg.MODEL.INIT_WEIGHTS, initial, self.model)
        if not self.method.trains:
            return
        self.optim = build_optimizer(self.model.trained(), cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        put_record(self.sched, self.run.record)
        # The original's key names, so that its own programs can load what is saved here.
        prefix = self.method.checkpoint_prefix.rstrip(".")
        saved = nn.ModuleDict({prefix: learner}) if prefix else learner
        self.register_model(self.method.checkpoint_name, saved, self.optim, self.sched)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.model.precision.scale_loss
        )

    def train(self) -> None:
        if not self.method.trains:
            print(f"{self.method.name} trains nothing: evaluating")
            self.test()
            return
        if self.cfg.TEST.FINAL_MODEL == "best_val":
            self._require_validation_images("TEST.FINAL_MODEL", "best_val", "last_step")
        self.model.training_starts()
        self.run.trains = True
        super().train()

    def _require_validation_images(self, key: str, value: str, instead: str) -> None:
        """Refuse a setting that needs them: test images never stand in, as they do in Dassl."""
        if self.val_loader is None:
            raise ValueError(
                f"{key} {value!r}: {self.cfg.DATASET.NAME} has no validation images, and test "
                f"images do not stand in for them: use {instead!r}, or give it some"
            )

    def resume_model_if_exist(self, directory: str) -> int:
        """Also raises `ValueError` where the checkpoints are those of another run."""
        self.run.require_same_checkpoint(directory)
        epoch = super().resume_model_if_exist(directory)
        take_state(self.sched, self.model.regularisers)
        return epoch

    def before_train(self) -> None:
        super().before_train()
        for part in self.model.regularisers.values():
            try:
                part.training_starts(self.model, self.start_epoch)
            except ValueError as error:
                raise ValueError(f"{self.cfg.RESUME or self.output_dir}: {error}") from None

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor | list[Tensor], Tensor]:
        """Images, of several views a list, and labels."""
        images, labels = batch["img"], batch["label"].to(self.device)
        if isinstance(images, Tensor):
            return images.to(self.device), labels
        return [view.to(self.device) for view in images], labels

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        try:
            summary = training_step(
                self.model, self.optim, self.scaler, *self.parse_batch_train(batch)
            )
        except FloatingPointError as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch_idx + 1}"
            files = ", ".join(batch.get("impath", [])[:4])
            raise FloatingPointError(f"{where} ({files}): {error}") from None
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return summary

    def run_epoch(self) -> None:
        super().run_epoch()
        self._report_unconverged("this epoch")
        epoch, epochs = self.epoch + 1, self.max_epoch
        self.model.epoch_ended(epoch, epochs)
        for part in self.model.regularisers.values():
            part.epoch_ended(self.model, epoch, epochs)
        if epoch == epochs:
            self.model.training_ended()
            for part in self.model.regularisers.values():
                part.training_ended(self.model)
        keep_state(self.sched, self.model.regularisers)

    def _report_unconverged(self, where: str) -> None:
        capped = self.model.pop_unconverged()
        if capped:
            print(f"{capped:,} transport problems of {where} hit the iteration cap")

    def model_inference(self, input: Tensor) -> Tensor:
        return self.model(input, self.class_features)

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate a split; returns the accuracy. The last evaluation of a run, which names no
        split, writes `predictions.csv` and `results.json`.

        What does not depend on the image is computed once for all batches.
        """
        self.set_model_mode("eval")
        self.model.prompt_learner.eval()
        self.evaluator.reset()
        final, split = split is None, split or self.cfg.TEST.SPLIT
        if split == "val":
            self._require_validation_images("TEST.SPLIT", "val", "test")
        loader = self.val_loader if split == "val" else self.test_loader
        print(f"Evaluate on the *{split}* set")
        predictions = Predictions()
        try:
            self.class_features = self.model.class_features()
            for batch in tqdm(loader, desc=split, disable=None):
                images, labels = self.parse_batch_test(batch)
                output = self.model_inference(images)
                self.evaluator.process(output, labels)
                predictions.add(output, labels, batch["impath"])
        finally:
            self.class_features = None
        self._report_unconverged("this evaluation")
        if final:  # before anything is printed that could fail
            self.run.write_results(self, predictions, split)
        results = self.evaluator.evaluate()
        for key, value in results.items():
            self.write_scalar(f"{split}/{key}", value, self.epoch)
        return next(iter(results.values()))

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load prompts saved here or by the method's original repository.

        Raises:
            FileNotFoundError: no such checkpoint; what is there is listed.
            ValueError: a file that lacks some of the prompts, has them in other shapes, was
                trained with other settings or another backbone, or belongs to other classes.
        """
        if not self.method.trains:
            return
        initial = self.cfg.MODEL.INIT_WEIGHTS
        if not directory and not initial:
            print("No model directory given: nothing is loaded")
            return
        path = Path(initial)
        if directory:
            path = find_checkpoint(directory, self.method.checkpoint_name, epoch)
        checkpoint = read_checkpoint(path)
        self.run.require_fitting(checkpoint, path, best=path.name == BEST)
        if directory:  # the initial weights are in the model already
            self._load_prompts(path, checkpoint, self.model)
        self.run.require_own_results(self.model)

    def _load_prompts(self, path: Any, checkpoint: dict[str, Any], model: PromptedCLIP) -> None:
        try:
            report = model.load_prompts(checkpoint["state_dict"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if report.missed:
            raise ValueError(f"{path} lacks prompts of {self.method.name}: {report.missed}")
        if report.unexpected:
            print(f"Unknown entries of {path} left out: {', '.join(report.unexpected)}")
        remark = model.remark_on(report)
        if remark:
            print(f"{path}: {remark}")
        epoch = checkpoint.get("epoch")
        print(f"Loaded {len(report.used)} prompt tensors from {path} (epoch {epoch})")
