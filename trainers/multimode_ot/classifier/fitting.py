"""Training without a host: the steps, schedule and hooks of the trainers, in the same order.

What draws random numbers draws them as under `train.py`, so that the same images in the same order
and the same seed give the same weights to the bit; a test holds the two equal.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm
from yacs.config import CfgNode

from ..backbone.clip import CLIP
from ..methods.base import PromptedCLIP
from ..methods.build import build_model
from ..methods.on_features import OnFeatures
from ..training import transforms
from ..training.features import prepare_features
from ..training.optimisation import Prepared, prepare_steps
from ..training.pictures import Picture
from ..training.step import epoch_ended, images_and_labels, training_step
from .inputs import Pictures, batches_in_order, training_batches


class Labelled(NamedTuple):
    """Pictures, and the numbers of their classes."""

    images: Sequence[Picture]
    labels: Sequence[int]


@dataclass
class Fit:
    """One training of a model, from a config of `recipe.whole_config`.

    Args:
        initial: prompts to start from, of an earlier stage.
        keep_best: keep the epoch with the best accuracy on `val`; else the last.
        patience: stop after so many epochs without a better one; wants `keep_best`.

    Attributes:
        model: once `run` has been called.
        history: for each epoch the means of what its steps show, the learning rate, and
            `val_accuracy` (per cent).
        best_epoch: whose weights are kept, from 1.
    """

    cfg: CfgNode
    method: type[PromptedCLIP]
    clip: CLIP
    classnames: Sequence[str]
    train: Labelled
    val: Labelled | None = None
    device: torch.device | str = "cpu"
    workers: int = 0
    verbose: bool = False
    keep_best: bool = False
    patience: int | None = None
    initial: Mapping[str, Tensor] | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    def run(self) -> PromptedCLIP:
        """Train; draws from the global generators."""
        cfg, method, pipelines = self.cfg, self.method, self._pipelines()
        self.model = build_model(method.name, self.clip, self.classnames, cfg, self.device)
        if self.initial is not None:
            self.model.load_prompts(self.initial)
        if method.trains:
            self.model.training_starts()
            self._train(self._prepare(pipelines))
        return self.model.eval()

    def _pipelines(self) -> dict[bool, Any]:
        """Augmented, or not; tried, as a host does, whose draws of Python's and NumPy's generators
        stay made."""
        inp, found = self.cfg.INPUT, {}
        picture = Image.new("RGB", tuple(2 * edge for edge in reversed(inp.SIZE)))
        try:
            for augmented in (True, False):
                build = transforms.train_transform if augmented else transforms.test_transform
                found[augmented] = build(inp)
                with torch.random.fork_rng(devices=[]):
                    found[augmented](picture)
        except Exception as error:  # torchvision has no common type for what it refuses
            raise ValueError(f"INPUT makes no transform: {error}") from error
        return found

    def _prepare(self, pipelines: Mapping[bool, Any]) -> Prepared:
        cfg, model, workers = self.cfg, self.model, self.workers
        as_seen, size = reads_as_seen(cfg.INPUT), cfg.DATALOADER.TEST.BATCH_SIZE
        batch_size = cfg.DATALOADER.TRAIN_X.BATCH_SIZE

        def in_order(labelled: Labelled, augmented: bool, draws: Any = None) -> Any:
            pictures = Pictures(*labelled, pipelines[augmented], as_seen)
            return batches_in_order(pictures, size, workers, draws)

        # A trainer looks at its validation images only where it chooses by them.
        apart = None if self.keep_best else torch.Generator()
        self.val_loader = None if self.val is None else in_order(self.val, False, apart)
        pictures = Pictures(*self.train, pipelines[True], as_seen, model.views)
        loader: Any = training_batches(pictures, batch_size, workers)
        if isinstance(model, OnFeatures):
            batches = prepare_features(
                model,
                lambda augmented: in_order(self.train, augmented),
                lambda split: self.val_loader,
                batch_size,
                lambda: len(self.history),
                quiet=not self.verbose,
            )
            loader = loader if batches is None else batches
        return prepare_steps(model, cfg, loader)

    def _train(self, ready: Prepared) -> None:
        model, epochs = self.model, self.cfg.OPTIM.MAX_EPOCH
        for part in model.regularisers.values():
            part.training_starts(model, 0)
        best: tuple[float, dict[str, Tensor]] = (-1.0, {})
        with tqdm(total=epochs, desc=model.name, unit="epoch", disable=not self.verbose) as bar:
            for epoch in range(1, epochs + 1):
                shown = self._epoch(ready, epoch)
                if self.val_loader is not None:
                    shown["val_accuracy"] = self._accuracy()
                    if shown["val_accuracy"] > best[0]:
                        state = model.prompt_learner.state_dict()
                        best = shown["val_accuracy"], {k: v.clone() for k, v in state.items()}
                        self.best_epoch = epoch
                self.history.append(shown)
                bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()}, refresh=False)
                bar.update()
                if self.patience is not None and epoch - self.best_epoch >= self.patience:
                    break
        if self.keep_best:
            model.prompt_learner.load_state_dict(best[1])
        else:
            self.best_epoch = len(self.history)
        vars(model).pop("encoded", None)  # whatever holds the images is not part of the model

    def _epoch(self, ready: Prepared, epoch: int) -> dict[str, float]:
        model, shown = self.model, {}
        model.prompt_learner.train()
        if isinstance(model, OnFeatures) and model.fits_at_once:
            model.fit(ready.loader.features, ready.loader.labels)
        else:
            shown = {"lr": ready.optimizer.param_groups[0]["lr"]}
            shown = self._steps(ready, epoch) | shown
        unconverged = model.pop_unconverged()
        epoch_ended(model, epoch, self.cfg.OPTIM.MAX_EPOCH)
        return shown | ({"unconverged": unconverged} if unconverged else {})

    def _steps(self, ready: Prepared, epoch: int) -> dict[str, float]:
        sums: dict[str, float] = {}
        for number, batch in enumerate(ready.loader, 1):
            try:
                summary = training_step(
                    self.model,
                    ready.optimizer,
                    ready.scaler,
                    *images_and_labels(batch, self.model.device),
                )
            except FloatingPointError as error:
                files = ", ".join(batch.get("impath", [])[:4])
                raise FloatingPointError(
                    f"epoch {epoch}, batch {number} ({files}): {error}"
                ) from None
            if self.model.steps.by_iteration or number == len(ready.loader):
                ready.schedule.step()
            for name, value in summary.items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / len(ready.loader) for name, value in sums.items()}

    @torch.no_grad()
    def _accuracy(self) -> float:
        """On the validation images, per cent."""
        model = self.model
        model.prompt_learner.eval()
        text, hits, count = model.class_features(), 0, 0
        for batch in self.val_loader or ():
            images, labels = images_and_labels(batch, model.device)
            hits += int((model(images, text).argmax(-1) == labels).sum())
            count += len(labels)
        return 100 * hits / count


def reads_as_seen(inp: CfgNode) -> bool:
    """Whether pictures are turned upright and laid on white: unless `INPUT.AS_SEEN` is "no"."""
    if inp.AS_SEEN not in ("auto", "yes", "no"):
        raise ValueError(f"INPUT.AS_SEEN {inp.AS_SEEN!r}: must be 'auto', 'yes' or 'no'")
    return inp.AS_SEEN != "no"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's global generators start from a seed, and are as they were
    before afterwards."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
