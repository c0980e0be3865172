"""The trainer classes: hosts derive theirs from `TrainerX` and override its hooks.

`SimpleTrainer` adds data, evaluation and checkpoints to the base, `TrainerX` the epoch over one
labelled loader.
"""

import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from dassl.data import DataManager
from dassl.evaluation import build_evaluator
from dassl.utils import AverageMeter, MetricMeter, load_checkpoint

from ._base import Names, TrainerBase
from ._batches import batches, print_beside_bar
from ._settings import check_settings

__all__ = ["SimpleTrainer", "TrainerBase", "TrainerX"]


class SimpleTrainer(TrainerBase):
    """A trainer with one data set, an evaluator, and checkpoints in `OUTPUT_DIR`."""

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        self.check_cfg(cfg)
        check_settings(cfg)
        cuda = torch.cuda.is_available() and cfg.USE_CUDA
        self.device = torch.device("cuda" if cuda else "cpu")
        self.start_epoch = self.epoch = 0
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)
        self.best_result = float("-inf")

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse a config before anything is built; `self.cfg` is not there yet."""

    def build_data_loader(self) -> None:
        dm = DataManager(self.cfg)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def build_model(self) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} must override build_model(): the stand-in has no CNN classifier"
        )

    def train(self) -> None:
        super().train(self.start_epoch, self.max_epoch)

    def before_train(self) -> None:
        directory = self.cfg.RESUME or self.cfg.OUTPUT_DIR
        self.start_epoch = self.resume_model_if_exist(directory)
        if os.path.abspath(directory) == os.path.abspath(self.output_dir):
            if not self._progress.resumed and self.start_epoch > 0:
                self._read_best_result()
        elif self._progress.resumed and self.cfg.TEST.FINAL_MODEL == "best_val":
            # The best model is to be written here too.
            self._progress.resumed_state["attributes"].pop("best_result", None)
        if 0 < self.max_epoch <= self.start_epoch:
            print(
                f"This run is complete ({self.start_epoch} of {self.max_epoch} epochs): "
                "nothing to train, evaluating it"
            )
        options = self.cfg.TEST
        if options.FINAL_MODEL == "best_val" and not options.NO_TEST and self.val_loader is None:
            print(
                f"TEST.FINAL_MODEL is best_val, but data set {self.cfg.DATASET.NAME} has no "
                "validation images: the model is chosen by its accuracy on the test images"
            )
        self.init_writer(os.path.join(self.output_dir, "tensorboard"))
        self.time_start = time.time()

    def _read_best_result(self) -> None:
        """Files of the original do not keep the best result, but the best model has it."""
        best = os.path.join(self.output_dir, self.get_model_names()[0], "model-best.pth.tar")
        if os.path.exists(best):
            self.best_result = load_checkpoint(best).get("val_result") or self.best_result

    def after_train(self) -> None:
        # Result parsers of hosts wait for either line, by the release they were written for.
        print("Finish training\nFinished training")
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        elapsed = timedelta(seconds=round(time.time() - self.time_start))
        print(f"Elapsed: {elapsed}")
        self.close_writer()

    def after_epoch(self) -> None:
        finished, every = self.epoch + 1, self.cfg.TRAIN.CHECKPOINT_FREQ
        due = finished == self.max_epoch or (every > 0 and finished % every == 0)
        saves = []
        if not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val":
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                saves.append({"val_result": result, "model_name": "model-best.pth.tar"})
        saves += [{}] if due else []
        for save in saves:
            # A trainer that overrides this hook may go on after it.
            last = save is saves[-1] and type(self).after_epoch is SimpleTrainer.after_epoch
            with self._progress.nothing_follows(finished, 0) if last else nullcontext():
                self.save_model(self.epoch, self.output_dir, **save)

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on the `val` or else the test set; returns the first result, the accuracy."""
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = self.cfg.TEST.SPLIT if split is None else split
        if split == "val" and self.val_loader is not None:
            loader = self.val_loader
        else:
            split, loader = "test", self.test_loader
        print(f"Evaluate on the *{split}* set")
        for batch in batches(loader, split):
            input, label = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(input), label)
        results = self.evaluator.evaluate()
        for key, value in results.items():
            self.write_scalar(f"{split}/{key}", value, self.epoch)
        return next(iter(results.values()))

    def model_inference(self, input: Any) -> Tensor:
        return self.model(input)

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def get_current_lr(self, names: Names = None) -> float:
        """The rate of the first named model that has an optimizer; NaN if none has."""
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                return self._optims[name].param_groups[0]["lr"]
        return float("nan")


class TrainerX(SimpleTrainer):
    """A trainer on labelled images: derive from it and write `forward_backward`."""

    def run_epoch(self) -> None:
        self.set_model_mode("train")
        losses, batch_time, data_time = MetricMeter(), AverageMeter(), AverageMeter()
        self.num_batches = len(self.train_loader_x)
        stream = batches(self.train_loader_x, f"epoch {self.epoch + 1}/{self.max_epoch}")
        numbered = enumerate(stream)
        self._progress.enter_epoch(numbered)
        end = time.time()
        for self.batch_idx, batch in numbered:
            data_time.update(time.time() - end)
            losses.update(self.forward_backward(batch))
            batch_time.update(time.time() - end)
            every = self.cfg.TRAIN.PRINT_FREQ
            if self.num_batches < every or (self.batch_idx + 1) % every == 0:
                print_beside_bar(self._epoch_line(losses, batch_time, data_time))
            step = self.epoch * self.num_batches + self.batch_idx
            for name, meter in losses.meters.items():
                self.write_scalar(f"train/{name}", meter.avg, step)
            self.write_scalar("train/lr", self.get_current_lr(), step)
            self._progress.batch_done()
            end = time.time()

    def _epoch_line(
        self, losses: MetricMeter, batch_time: AverageMeter, data_time: AverageMeter
    ) -> str:
        done = self.batch_idx + 1
        left = self.num_batches - done + (self.max_epoch - self.epoch - 1) * self.num_batches
        fields = [
            f"epoch [{self.epoch + 1}/{self.max_epoch}]",
            f"batch [{done}/{self.num_batches}]",
            f"time {batch_time.val:.3f} ({batch_time.avg:.3f})",
            f"data {data_time.val:.3f} ({data_time.avg:.3f})",
            str(losses),
            f"lr {self.get_current_lr():.4e}",
            f"eta {timedelta(seconds=int(batch_time.avg * left))}",
        ]
        return " ".join(field for field in fields if field)

    def parse_batch_train(self, batch: dict[str, Any]) -> Sequence[Tensor]:
        return tuple(batch[key].to(self.device) for key in ("img", "label", "domain"))
