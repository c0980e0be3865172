"""Pictures of any number through a model: read ahead by threads, run in batches.

Axes: `B` pictures of a batch, `K` classes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from ..backbone.class_tokens import check_classnames
from ..methods.base import PromptedCLIP
from .finished import FinishedRun
from .pictures import read_picture
from .transforms import test_transform


@dataclass
class Batch:
    """Some pictures, in their order.

    Attributes:
        sources: those that were read.
        logits: `(B, K)` of these, float32, on the CPU.
        unreadable: the others that were met on the way, each with the error.
    """

    sources: list[Any] = field(default_factory=list)
    logits: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    unreadable: list[tuple[Any, OSError]] = field(default_factory=list)

    def best(self, top: int) -> tuple[list[list[float]], list[list[int]]]:
        """Of each picture the `top` largest entries of the softmax, and their classes' numbers; of
        equal ones the first class comes first, as arg-max has it."""
        confidences, classes = self.logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        return confidences[:, :top].tolist(), classes[:, :top].tolist()


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_ahead(
    sources: Iterable[Any], read: Callable[[Any], Tensor], workers: int, ahead: int
) -> Iterator[tuple[Any, Future[Tensor]]]:
    """Each source with what `read` makes of it, in their order; at most `ahead` are held.

    Threads do: Pillow lets go of the interpreter while it decodes and resizes.
    """
    waiting: deque[tuple[Any, Future[Tensor]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    try:
        for source in sources:
            waiting.append((source, pool.submit(read, source)))
            if len(waiting) >= ahead:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


class Labeller:
    """A model, and what it takes to show it pictures as an evaluation does.

    Args:
        model: any method's; is put into evaluation mode.
        inp: the node `INPUT` that its test images were read by.
        as_seen: whether they were turned upright and laid on white.
        batch_size: of the evaluation.
        class_features: of `model.class_features()`; made at the first call if left out.
    """

    def __init__(
        self,
        model: PromptedCLIP,
        inp: CfgNode,
        as_seen: bool,
        batch_size: int,
        class_features: Any = None,
    ):
        self.model, self.as_seen, self.batch_size = model.eval(), as_seen, batch_size
        self.class_features = class_features
        self.transform = test_transform(inp)

    @property
    def classnames(self) -> list[str]:
        return self.model.classnames

    def set_classes(self, classnames: Sequence[str]) -> None:
        """Label with other classes.

        Raises:
            ValueError: no names, names that become one prompt or do not fit, or classes that a
                method cannot have, which is bound to others.
        """
        check_classnames(classnames, self.model.clip.context_length)
        self.model.set_classes(classnames)
        self.class_features = None

    @torch.no_grad()
    def label(
        self, sources: Iterable[Any], batch_size: int | None = None, workers: int | None = None
    ) -> Iterator[Batch]:
        """The logits of any number of pictures, in batches.

        A batch is full of pictures that could be read, as one of an evaluation is, but the last,
        which may be of none and only name what could not be read. What is held does not grow with
        their number.

        Args:
            sources: paths, or what `read_picture` takes besides.
            batch_size: None: as in the evaluation.
            workers: threads that read; None: one a core.
        """
        if self.class_features is None:
            self.class_features = self.model.class_features()
        size, workers = batch_size or self.batch_size, workers or cores()
        images: list[Tensor] = []
        batch = Batch()
        for source, reading in read_ahead(sources, self._read, workers, 2 * max(size, workers)):
            try:
                images.append(reading.result())
            except OSError as error:
                batch.unreadable.append((source, error))
                continue
            batch.sources.append(source)
            if len(images) == size:
                batch.logits = self._logits(images)
                yield batch
                images, batch = [], Batch()
        if images:
            batch.logits = self._logits(images)
        if batch.sources or batch.unreadable:
            yield batch

    def _read(self, source: Any) -> Tensor:
        return self.transform(read_picture(source, self.as_seen))

    def _logits(self, images: list[Tensor]) -> Tensor:
        batch = torch.stack(images).to(self.model.device)
        return self.model(batch, self.class_features).float().cpu()


def labeller_of_run(run: FinishedRun, device: torch.device | str = "cpu") -> Labeller:
    """The model of a finished run, for pictures; errors as of `FinishedRun.model`."""
    size = run.cfg.DATALOADER.TEST.BATCH_SIZE
    return Labeller(run.model(device), run.cfg.INPUT, run.as_seen, size)
