"""The Dassl trainer that all methods share: build, train, test, load. A method is a model class.

It is a Dassl `TrainerX` and uses nothing that the original Dassl lacks. Only the prompt learner is
registered, so only prompts are trained, saved and loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from dassl.engine import TrainerX
from torch import Tensor, nn
from tqdm import tqdm
from yacs.config import CfgNode

from ..backbone.architecture import RESIZE_MODES
from ..backbone.class_tokens import one_prompt
from ..methods.base import PromptedCLIP
from ..methods.build import build_model
from ..methods.class_bound import ClassBound
from ..methods.on_features import OnFeatures
from .backbone import load_backbone
from .checkpoints import (
    BEST,
    MethodState,
    find_checkpoint,
    keep_state,
    put_record,
    read_checkpoint,
    take_state,
)
from .checks import check_config, load_into, try_settings
from .class_ids import wordnet_ids
from .evaluation import Predictions
from .features import prepare_features
from .host import data_that_squash, host_optimisation, in_order
from .optimisation import prepare_steps
from .preprocessing import departures, is_of_backbone, listed, resolved
from .run import Run
from .step import epoch_ended, images_and_labels, training_step
from .transforms import resize_mode


class PromptTrainer(TrainerX):
    """Trains what `method` has to train, with its loss terms and those of its regularisers.

    Subclasses set `method`, the model class, and nothing else.

    Raises:
        ValueError: settings or weights that do not fit each other, or an output folder that holds
            another run. Nothing of the data has been touched by then.
    """

    method: ClassVar[type[PromptedCLIP]]
    train_loader_x: Any

    def __init__(self, cfg: CfgNode) -> None:
        self.check_cfg(cfg)
        clip = None
        if is_of_backbone(cfg):
            clip = load_backbone(cfg)
            cfg = resolved(cfg, clip.architecture, clip.name)
            print(f"Preprocessing is that of {clip.name}: {listed(cfg.INPUT)}")
        self.run = Run(cfg, self.method)
        self._clip = clip or load_backbone(cfg)
        try_settings(cfg, self.method, self._clip, host_optimisation)
        remark = departures(cfg.INPUT, self._clip.architecture, self._clip.name)
        if remark:
            print(remark)
        self.run.has_backbone(self._clip)
        super().__init__(cfg)

    @classmethod
    def check_cfg(cls, cfg: CfgNode) -> None:
        check_config(cfg, cls.method)

    def build_data_loader(self) -> None:
        """As Dassl does, which has no evaluation that squashes: such a transform is handed over."""
        if resize_mode(self.cfg.INPUT) == RESIZE_MODES[0]:
            super().build_data_loader()
        else:
            for name, value in data_that_squash(self.cfg).items():
                setattr(self, name, value)

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
        if isinstance(self.model, ClassBound):
            self.model.identify(wordnet_ids(self.dm.dataset))

        trained = sum(p.numel() for p in self.model.trained())
        print(f"{name} on {clip.name}: {len(classnames)} classes, {trained:,} trained parameters")
        if cfg.MODEL.INIT_WEIGHTS:
            initial = read_checkpoint(cfg.MODEL.INIT_WEIGHTS)
            load_into(self.model, initial, cfg.MODEL.INIT_WEIGHTS)
        if not self.method.trains:
            return
        if not issubclass(self.method, OnFeatures):
            self._prepare_steps()

    def _prepare_steps(self) -> None:
        """Batches, optimiser, schedule and scaler; register what is saved."""
        model = self.model
        ready = prepare_steps(model, self.cfg, self.train_loader_x, host_optimisation)
        self.train_loader_x, self.optim = ready.loader, ready.optimizer
        self.sched, self.scaler = ready.schedule, ready.scaler
        put_record(self.sched, self.run.record)
        # The original's key names, so that its own programs can load what is saved here.
        prefix, learner = self.method.checkpoint_prefix.rstrip("."), model.prompt_learner
        saved = nn.ModuleDict({prefix: learner}) if prefix else learner
        self.register_model(self.method.checkpoint_name, saved, self.optim, self.sched)

    def _prepare_features(self, model: OnFeatures) -> None:
        images = self.train_loader_x
        batches = prepare_features(
            model,
            lambda augmented: in_order(self.cfg, images, images if augmented else self.test_loader),
            lambda split: self.val_loader if split == "val" else self.test_loader,
            self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            lambda: self.epoch,
        )
        self.train_loader_x = images if batches is None else batches
        self._prepare_steps()

    def train(self) -> None:
        if not self.method.trains:
            print(f"{self.method.name} trains nothing: evaluating")
            self.test()
            return
        if self.cfg.TEST.FINAL_MODEL == "best_val":
            self._require_validation_images("TEST.FINAL_MODEL", "best_val", "last_step")
        self.model.training_starts()
        if isinstance(self.model, OnFeatures):
            self._require_start(self.model)
            self._require_images_to_tune_on()
            self._prepare_features(self.model)
        self.run.trains = True
        super().train()

    def _require_validation_images(self, key: str, value: str, instead: str) -> None:
        """Refuse a setting that needs them: test images never stand in, as they do in Dassl."""
        if self.val_loader is None:
            raise ValueError(
                f"{key} {value!r}: {self.cfg.DATASET.NAME} has no validation images, and test "
                f"images do not stand in for them: use {instead!r}, or give it some"
            )

    def _require_start(self, model: OnFeatures) -> None:
        """Refuse initial weights that training cannot go on from."""
        key = f"MODEL.INIT_WEIGHTS {self.cfg.MODEL.INIT_WEIGHTS!r}"
        if self.cfg.MODEL.INIT_WEIGHTS and model.starts_anew:
            raise ValueError(
                f"{key}: {model.name} is made of its training images anew: leave it out, or "
                "evaluate with --eval-only"
            )
        if model.new_is_zero_shot:
            raise ValueError(
                f"{key} has no rows for some of the classes, which could not be trained: use "
                "weights of these classes"
            )

    def _require_images_to_tune_on(self) -> None:
        key = f"TRAINER.{self.method.name.upper()}.TUNE"
        if self.run.tuned_on() != "val":
            return
        self._require_validation_images(key, "val", "none")
        val = self.run.record["data"]["val"]
        if val["also_in_test"] == val["images"]:
            raise ValueError(
                f"{key} 'val': the validation images of {self.cfg.DATASET.NAME} are its test images"
                ", so nothing may be chosen on them: use 'none'"
            )

    def resume_model_if_exist(self, directory: str) -> int:
        """Also raises `ValueError` where the checkpoints are those of another run."""
        self.run.require_same_checkpoint(directory)
        epoch = super().resume_model_if_exist(directory)
        take_state(self.sched, self._parts)
        return epoch

    @property
    def _parts(self) -> dict[str, Any]:
        """What has a state to go on from, by name."""
        return {**self.model.regularisers, "method": MethodState(self.model)}

    def before_train(self) -> None:
        super().before_train()
        for part in self.model.regularisers.values():
            try:
                part.training_starts(self.model, self.start_epoch)
            except ValueError as error:
                raise ValueError(f"{self.cfg.RESUME or self.output_dir}: {error}") from None

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor | list[Tensor], Tensor]:
        return images_and_labels(batch, self.device)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        try:
            summary = training_step(
                self.model, self.optim, self.scaler, *self.parse_batch_train(batch)
            )
        except FloatingPointError as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch_idx + 1}"
            files = ", ".join(batch.get("impath", [])[:4])
            raise FloatingPointError(f"{where} ({files}): {error}") from None
        if self.method.steps.by_iteration or self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return summary

    def run_epoch(self) -> None:
        if isinstance(self.model, OnFeatures) and self.model.fits_at_once:
            self.set_model_mode("train")
            self.model.fit(self.train_loader_x.features, self.train_loader_x.labels)
        else:
            super().run_epoch()
        self._report_unconverged("this epoch")
        epoch_ended(self.model, self.epoch + 1, self.max_epoch)
        keep_state(self.sched, self._parts)

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
            load_into(self.model, checkpoint, path)
        self.run.require_own_results(self.model)
