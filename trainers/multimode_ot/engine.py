"""The trainer that all methods share: build, step, test, load. A method is a model class.

It is a Dassl `TrainerX` and uses nothing that the original Dassl lacks. Only the prompt learner is
registered, so only prompts are trained, saved and loaded.
"""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from dassl.engine import TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import Tensor, nn
from tqdm import tqdm
from yacs.config import CfgNode

from .backbone import check_backbone, load_clip
from .checkpoints import find_checkpoint, read_checkpoint
from .config import Check
from .factory import build_model, settings_of
from .model import PromptedCLIP
from .results import config_hash, peak_memory_mb, versions, write_results


class PromptTrainer(TrainerX):
    """Trains the prompts of `method` with cross-entropy.

    Subclasses set `method`, the model class, and nothing else.
    """

    method: ClassVar[type[PromptedCLIP]]

    @classmethod
    def check_cfg(cls, cfg: CfgNode) -> None:
        check_backbone(cfg.MODEL.BACKBONE.NAME)
        cls.method.check_settings(Check(settings_of(cfg, cls.method.name), cls.method.name))

    def build_model(self) -> None:
        cfg, name = self.cfg, self.method.name
        clip = load_clip(cfg.MODEL.BACKBONE.NAME)
        if tuple(cfg.INPUT.SIZE) != (clip.resolution, clip.resolution):
            raise ValueError(
                f"INPUT.SIZE {tuple(cfg.INPUT.SIZE)}: {clip.name} takes "
                f"{(clip.resolution, clip.resolution)}"
            )
        classnames = self.dm.dataset.classnames
        self.model = build_model(name, clip, classnames, cfg, self.device)
        self.model.dataset = cfg.DATASET.NAME
        self.class_features: Any = None
        self.loaded_epoch: int | None = None
        self.built_at = time.time()

        learner = self.model.prompt_learner
        trained = sum(p.numel() for p in learner.parameters())
        print(f"{name} on {clip.name}: {len(classnames)} classes, {trained:,} trained parameters")
        if cfg.MODEL.INIT_WEIGHTS:
            self._load_prompts(cfg.MODEL.INIT_WEIGHTS)
        if not self.method.trains:
            return
        self.optim = build_optimizer(learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
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
        super().train()

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        try:
            loss, accuracy = self._step(*self.parse_batch_train(batch))
        except FloatingPointError as error:
            where = f"epoch {self.epoch + 1}, batch {self.batch_idx + 1}"
            files = ", ".join(batch.get("impath", [])[:4])
            raise FloatingPointError(f"{where} ({files}): {error}") from None
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss, "acc": accuracy}

    def _step(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """One update of the prompts; the loss, and the accuracy in per cent."""
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.model_zero_grad()
        self.scaler.scale(loss).backward()
        # The step's only look at the device: by now the backward pass is queued.
        accuracy = compute_accuracy(logits.detach(), labels)[0]
        values = torch.stack([loss.detach().double(), accuracy.squeeze().double()]).tolist()
        if not math.isfinite(values[0]):
            self.model.diagnose(images)
            raise FloatingPointError("the loss is NaN or Inf")
        self.scaler.step(self.optim)
        self.scaler.update()
        return values[0], values[1]

    def run_epoch(self) -> None:
        super().run_epoch()
        self._report_unconverged("this epoch")

    def _report_unconverged(self, where: str) -> None:
        capped = self.model.pop_unconverged()
        if capped:
            print(f"{capped:,} transport problems of {where} hit the iteration cap")

    def model_inference(self, input: Tensor) -> Tensor:
        return self.model(input, self.class_features)

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate a split and write `results.json` for the test set; returns the accuracy.

        What does not depend on the image is computed once for all batches.
        """
        self.set_model_mode("eval")
        self.model.prompt_learner.eval()
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        if split == "val" and self.val_loader is not None:
            loader = self.val_loader
        else:
            split, loader = "test", self.test_loader
        print(f"Evaluate on the *{split}* set")
        correct = total = 0
        try:
            self.class_features = self.model.class_features()
            for batch in tqdm(loader, desc=split, disable=None):
                images, labels = self.parse_batch_test(batch)
                output = self.model_inference(images)
                self.evaluator.process(output, labels)
                correct += int((output.argmax(1) == labels).sum())
                total += len(labels)
        finally:
            self.class_features = None
        self._report_unconverged("this evaluation")
        results = self.evaluator.evaluate()
        for key, value in results.items():
            self.write_scalar(f"{split}/{key}", value, self.epoch)
        if split == "test":
            self._write_results(results, correct, total)
        return next(iter(results.values()))

    def _write_results(self, results: dict[str, float], correct: int, total: int) -> None:
        cfg, trains = self.cfg, self.method.trains
        started = getattr(self, "time_start", self.built_at)
        if hasattr(self, "time_start"):
            epoch = min(self.epoch + 1, self.max_epoch)
        else:
            epoch = self.loaded_epoch or 0
        path = write_results(
            self.output_dir,
            {
                "method": self.method.name,
                "dataset": cfg.DATASET.NAME,
                "subset": cfg.DATASET.SUBSAMPLE_CLASSES,
                "shots": cfg.DATASET.NUM_SHOTS if trains else 0,
                "seed": cfg.SEED,
                "epoch": epoch,
                "accuracy": 100 * correct / total,
                "macro_f1": results.get("macro_f1"),
                "correct": correct,
                "total": total,
                "seconds": time.time() - started,
                "peak_memory_mb": peak_memory_mb(),
                "backbone": cfg.MODEL.BACKBONE.NAME,
                "config_hash": config_hash(cfg, trains),
                "versions": versions(),
            },
        )
        print(f"Results written to {path}")

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load prompts saved here or by the method's original repository.

        Raises:
            FileNotFoundError: no such checkpoint; what is there is listed.
            ValueError: a file that lacks some of the prompts, or has them in other shapes.
        """
        if not self.method.trains:
            return
        if not directory:
            print("No model directory given: nothing is loaded")
            return
        self._load_prompts(find_checkpoint(directory, self.method.checkpoint_name, epoch))

    def _load_prompts(self, path: Any) -> None:
        checkpoint = read_checkpoint(path)
        report = self.model.load_prompts(checkpoint["state_dict"])
        if report.missed:
            raise ValueError(f"{path} lacks prompts of {self.method.name}: {report.missed}")
        if report.unexpected:
            print(f"Unknown entries of {path} left out: {', '.join(report.unexpected)}")
        self.loaded_epoch = checkpoint.get("epoch")
        print(f"Loaded {len(report.used)} prompt tensors from {path} (epoch {self.loaded_epoch})")
