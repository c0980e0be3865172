"""Classification results, printed in the very lines that result parsers of hosts search for."""

import os
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from dassl._random import kept_random_state
from dassl.utils import mkdir_if_missing
from dassl.utils.torchtools import replace_file

from .build import EVALUATOR_REGISTRY


class EvaluatorBase:
    """What `trainer.test()` calls: `reset`, then `process` a batch, then `evaluate`."""

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        raise NotImplementedError

    def process(self, mo: Tensor, gt: Tensor) -> None:
        raise NotImplementedError

    def evaluate(self) -> dict[str, float]:
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Accuracy, error rate and macro F1, and results per class if asked."""

    def __init__(
        self, cfg: CfgNode, lab2cname: dict[int, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cfg)
        self._lab2cname = lab2cname
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise AssertionError("TEST.PER_CLASS_RESULT needs the class names (lab2cname)")
        self.reset()

    def reset(self) -> None:
        self._y_true: list[int] = []
        self._y_pred: list[int] = []
        self._width = 0

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Count a batch: scores `(B, K)` and integer labels `(B,)`."""
        self._y_true.extend(gt.tolist())
        self._y_pred.extend(mo.max(dim=1).indices.tolist())
        self._width = mo.shape[1]

    def evaluate(self) -> dict[str, float]:
        """All values in percent; `accuracy` first, since `trainer.test()` returns the first."""
        with kept_random_state():
            from sklearn.metrics import f1_score  # slow to import

        if not self._y_true:
            raise ValueError("Nothing to evaluate: no batch was processed since reset()")
        true, pred = np.array(self._y_true), np.array(self._y_pred)
        correct = int((true == pred).sum())
        accuracy = 100.0 * correct / len(true)
        f1 = f1_score(true, pred, labels=np.unique(true), average="macro", zero_division=0)
        results = OrderedDict(
            accuracy=accuracy, error_rate=100.0 - accuracy, macro_f1=100.0 * float(f1)
        )
        print(
            "=> result\n"
            f"* total: {len(true):,}\n"
            f"* correct: {correct:,}\n"
            f"* accuracy: {accuracy:.1f}%\n"
            f"* error: {results['error_rate']:.1f}%\n"
            f"* macro_f1: {results['macro_f1']:.1f}%"
        )
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._per_class(true, pred)
        if self.cfg.TEST.COMPUTE_CMAT:
            path = os.path.join(self.cfg.OUTPUT_DIR, "cmat.pt")
            mkdir_if_missing(self.cfg.OUTPUT_DIR)
            replace_file(path, lambda partial: torch.save(self._confusion(true, pred), partial))
            print(f"Confusion matrix is saved to {path}")
        return results

    def _confusion(self, true: np.ndarray, pred: np.ndarray) -> Tensor:
        """Which share of each class was taken for which, a float64 tensor `(K, K)`.

        Rows are true labels, columns predicted ones; row and column k belong to label k, for all
        classes of the data set, or all that have a score where these are not known. A row sums to
        1, and is zero if the class has no test image.
        """
        largest = max(self._lab2cname) + 1 if self._lab2cname else self._width
        classes = max(largest, int(true.max()) + 1, int(pred.max()) + 1)
        counts = np.bincount(true * classes + pred, minlength=classes**2)
        matrix = torch.from_numpy(counts).double().view(classes, classes)
        return matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1)

    def _per_class(self, true: np.ndarray, pred: np.ndarray) -> float:
        print("=> per-class result")
        accuracies = []
        for label in np.unique(true).tolist():
            hits = pred[true == label] == label
            accuracies.append(100.0 * int(hits.sum()) / len(hits))
            name = self._lab2cname.get(label, "no name")
            print(
                f"* class: {label} ({name})\ttotal: {len(hits):,}\t"
                f"correct: {hits.sum():,}\tacc: {accuracies[-1]:.1f}%"
            )
        average = float(np.mean(accuracies))
        print(f"* average: {average:.1f}%")
        return average
