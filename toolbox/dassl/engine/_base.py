"""The base of all trainers: registered models, their checkpoints, and the generic loop."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dassl._random import kept_random_state
from dassl.utils import load_checkpoint, mkdir_if_missing, save_checkpoint, tolist_if_not
from dassl.utils.torchtools import apply_checkpoint, load_weights

from ._progress import Progress, find_resume_point, schedule_state

Names = str | list[str] | None


def _to_override(name: str) -> Callable[..., Any]:
    def method(self: Any, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must override {name}()")

    return method


class TrainerBase:
    """Registered models with their optimizers and schedules, and the generic loop."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, nn.Module] = OrderedDict()
        self._optims: OrderedDict[str, Any] = OrderedDict()
        self._scheds: OrderedDict[str, Any] = OrderedDict()
        self._writer: Any = None
        self._progress = Progress(self)

    def register_model(
        self, name: str = "model", model: Any = None, optim: Any = None, sched: Any = None
    ) -> None:
        """Make a model known under `name`, which is also its folder of checkpoints."""
        if "_models" not in vars(self):
            raise AttributeError("Cannot assign model before super().__init__() call")
        if name in self._models:
            raise AssertionError("Found duplicate model names")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names: Names = None) -> list[str]:
        if names is None:
            return list(self._models)
        names = tolist_if_not(names)
        for name in names:
            if name not in self._models:
                raise AssertionError(
                    f'No model "{name}" is registered; there are {[*self._models]}'
                )
        return names

    @property
    def _own_save_model(self) -> bool:
        return type(self).save_model is not TrainerBase.save_model

    def _registered(self, name: str) -> tuple[nn.Module, Any, Any]:
        return self._models[name], self._optims[name], self._scheds[name]

    def save_model(
        self,
        epoch: int,
        directory: str,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Write a checkpoint of every model after the 0-based `epoch`."""
        for name in self.get_model_names():
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                **schedule_state(self._optims[name], self._scheds[name]),
                "val_result": val_result,
            }
            if self._progress.run_state is not None:
                state["run_state"] = self._progress.run_state
            save_checkpoint(state, os.path.join(directory, name), is_best, model_name=model_name)
        self._progress.saved.append((directory, model_name or f"model.pth.tar-{epoch + 1}"))

    def resume_model_if_exist(self, directory: str) -> int:
        """Resume every model from the newest whole checkpoint; returns the finished epochs."""
        names = self.get_model_names()
        found = find_resume_point(directory, names)
        if found is None:
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        filename, checkpoints = found
        epoch = 0
        for name, checkpoint in checkpoints.items():
            path = os.path.join(directory, name, filename)
            print(f'Loading checkpoint from "{path}"')
            state = checkpoint.get("run_state")
            if state is not None:
                self._progress.resumed[name] = checkpoint
                checkpoint["state_dict"] = state.get("weights", checkpoint["state_dict"])
                # A trainer may save within an epoch, under the number it will have when finished.
                checkpoint["epoch"] = state["epoch"]
            epoch = apply_checkpoint(checkpoint, path, *self._registered(name))
        return epoch

    def load_model(self, directory: str | None, epoch: int | None = None) -> None:
        """Load the best model, or that of an epoch, of a run's folder."""
        if not directory:
            print(
                "Note that load_model() is skipped as no pretrained model is given "
                "(ignore this if it's done on purpose)"
            )
            return
        filename = "model-best.pth.tar" if epoch is None else f"model.pth.tar-{epoch}"
        for name in self.get_model_names():
            path = os.path.join(directory, name, filename)
            if not os.path.exists(path):
                raise FileNotFoundError(f"No model at {path}")
            checkpoint = load_checkpoint(path)
            load_weights(checkpoint, path, self._models[name])
            result = checkpoint.get("val_result")
            shown = "None" if result is None else f"{result:.1f}"
            print(f"Load {path} to {name} (epoch={checkpoint['epoch']}, val_result={shown})")

    def set_model_mode(self, mode: str = "train", names: Names = None) -> None:
        if mode not in ("train", "test", "eval"):
            raise KeyError(f'mode must be "train", "test" or "eval", but got "{mode}"')
        for name in self.get_model_names(names):
            model = self._models[name]
            model.train() if mode == "train" else model.eval()

    def _each(self, group: dict[str, Any], names: Names) -> list[Any]:
        """The optimizers or schedulers of the named models that have one."""
        found = [group[name] for name in self.get_model_names(names)]
        return [one for one in found if one is not None]

    def update_lr(self, names: Names = None) -> None:
        """Step the schedules: trainers call it on the last batch of an epoch."""
        for sched in self._each(self._scheds, names):
            sched.step()

    def detect_anomaly(self, loss: Tensor) -> None:
        if not torch.isfinite(loss).all():
            raise FloatingPointError("Loss is infinite or NaN!")

    def model_zero_grad(self, names: Names = None) -> None:
        for optim in self._each(self._optims, names):
            optim.zero_grad()

    def model_backward(self, loss: Tensor) -> None:
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names: Names = None) -> None:
        for optim in self._each(self._optims, names):
            optim.step()

    def model_backward_and_update(self, loss: Tensor, names: Names = None) -> None:
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    def init_writer(self, log_dir: str) -> None:
        """Open TensorBoard's writer, unless it is open or TensorBoard is not installed."""
        if self._writer is not None:
            return
        mkdir_if_missing(log_dir)
        try:
            with kept_random_state():
                from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            print(f"No TensorBoard files are written: {error}")
            return
        print(f"Initialize tensorboard (log_dir={log_dir})")
        self._writer = SummaryWriter(log_dir=log_dir)

    def close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def write_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """The generic loop; `before_train` may move `start_epoch`."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        self._progress.run_state = {}
        try:
            self.before_train()
            self._progress.begin()
            # Where the loop leaves it, also if nothing is left to train.
            self.epoch = max(min(self.start_epoch, max_epoch) - 1, 0)
            for epoch in range(self.start_epoch, self.max_epoch):
                self.epoch = epoch
                self.before_epoch()
                self.run_epoch()
                self.after_epoch()
                self._progress.complete(epoch + 1, 0)
            self.after_train()
        finally:
            self._progress.run_state = None

    def _hook(self) -> None:
        """For trainers to override."""

    before_train = after_train = before_epoch = after_epoch = _hook

    run_epoch = _to_override("run_epoch")
    test = _to_override("test")
    parse_batch_train = _to_override("parse_batch_train")
    parse_batch_test = _to_override("parse_batch_test")
    forward_backward = _to_override("forward_backward")
    model_inference = _to_override("model_inference")
