"""What an evaluation found: one prediction an image, and the measures made of them.

Axes: `B` images of a batch, `K` classes, `I` images in all.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..files import write_whole

FILE_NAME = "predictions.csv"
CALIBRATION_BINS = 15


class Predictions:
    """Collects batches of logits; all measures are in per cent.

    Attributes:
        paths: of the images, as the data set names them.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._batches: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, logits: Tensor, labels: Tensor, paths: Sequence[str]) -> None:
        """Count a batch: `(B, K)` logits at the run's scale, `(B,)` labels, `B` paths."""
        logits = logits.float()
        confidence = logits.softmax(-1).amax(-1)
        # The first of equal logits, as arg-max takes it, is ahead of the others.
        own = logits.gather(1, labels.unsqueeze(1))
        order = torch.arange(logits.shape[1], device=logits.device)
        ahead = (logits > own) | ((logits == own) & (order < labels.unsqueeze(1)))
        self._batches.append((labels, logits.argmax(-1), confidence, ahead.sum(-1) < 5))
        self.paths += paths

    def measures(self) -> dict[str, float | int]:
        """The measures of `results.json`.

        `top5` counts an image whose class is among the five with the largest logits (with five
        classes or fewer: every image). `ece` is the expected calibration error (Guo et al., "On
        Calibration of Modern Neural Networks", ICML 2017, equation 3) of the softmax's largest
        entry, in 15 bins of equal width. `mean_class_accuracy` and `macro_f1` are means over the
        classes that occur among the labels.

        Raises:
            ValueError: no image was added.
        """
        if not self._batches:
            raise ValueError("nothing was evaluated: there was no batch")
        labels, predicted, confidence, in_top5 = self._columns()
        hits = predicted == labels
        recalls, f1s = [], []
        for k in labels.unique():
            own, called = labels == k, predicted == k
            both = float((own & called).sum())
            recalls.append(both / float(own.sum()))
            f1s.append(2 * both / float(own.sum() + called.sum()))
        correct, total = int(hits.sum()), len(labels)
        return {
            "accuracy": 100 * correct / total,
            "macro_f1": 100 * sum(f1s) / len(f1s),
            "correct": correct,
            "total": total,
            "top5": 100 * int(in_top5.sum()) / total,
            "ece": 100 * calibration_error(confidence, hits),
            "mean_class_accuracy": 100 * sum(recalls) / len(recalls),
        }

    def _columns(self) -> list[Tensor]:
        return [torch.cat(column).cpu() for column in zip(*self._batches, strict=True)]

    def write(self, directory: str | os.PathLike, root: str) -> Path:
        """Write `predictions.csv`: path (below `root` if it is there), label, prediction (numbers
        of the classes), confidence (the softmax's largest entry)."""
        labels, predicted, confidence, _ = (c.tolist() for c in self._columns())
        root = os.path.abspath(os.path.expanduser(root))
        rows = zip(self.paths, labels, predicted, confidence, strict=True)

        def fill(stream) -> None:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["path", "label", "prediction", "confidence"])
            for path, *values, score in rows:
                below = os.path.relpath(path, root).replace(os.sep, "/")
                shown = path if below.startswith("../") else below
                writer.writerow([shown, *values, f"{score:.6f}"])

        return write_whole(Path(directory) / FILE_NAME, fill)


def calibration_error(confidence: Tensor, hits: Tensor) -> float:
    """`sum_b (I_b / I) |accuracy_b - mean confidence_b|` over bins `(i / 15, (i + 1) / 15]`.

    Args:
        confidence: `(I,)`, between 0 and 1.
        hits: `(I,)` bool.
    """
    bins = (confidence.double() * CALIBRATION_BINS).ceil().long() - 1
    gaps = torch.zeros(CALIBRATION_BINS, dtype=torch.double)
    gaps.index_add_(0, bins.clamp(0, CALIBRATION_BINS - 1), hits.double() - confidence.double())
    return float(gaps.abs().sum()) / len(confidence)
