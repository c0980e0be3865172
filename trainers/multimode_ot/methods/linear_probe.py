"""A linear probe: logistic regression on CLIP's image features.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021, appendix A.3; its few-shot form is a baseline of CoOp's paper (IJCV 2022).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbone.encoders import normalised
from ..config import Check, Setting, Settings
from .class_bound import ClassBound
from .logistic import LogisticRegression, Solution
from .tuning import Tuned, accuracy

GRID = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)


class LinearProbe(Tuned, ClassBound):
    """`logits = W f + b` of image features that are neither augmented nor normalised, the optimum
    of `C sum_i CE(W f_i + b, y_i) + |W|^2 / 2`; there is no text."""

    name = "LinearProbe"
    trains = "a weight and a bias for each class"
    learned = ("text",)
    no_new_classes = "it has no text side, and so nothing for a class without training images"
    settings: ClassVar[Settings] = {
        "TUNE": Setting(
            "val",
            "images on which C is searched; none: C as it is; 'test' is for comparison, and its "
            "results are marked",
            one_of=("none", "val", "test"),
        ),
        "C": Setting(1.0, "weight of the images against the penalty, where TUNE is none", above=0),
        "NUM_STEP": Setting(8, "steps of the search between the best C's neighbours", least=0),
    }
    augmented = False
    fits_at_once = starts_anew = True
    prompt_learner: nn.Linear
    strength = 0.0  # the C that was taken

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CLASS_NAMES == "raw":
            check.refuse("CLASS_NAMES", "there is no text with names in it: leave it 'readable'")

    def passes(self) -> int:
        return 1

    def build_rows(self, classes: int) -> nn.Linear:
        return nn.Linear(self.clip.embed_width, classes)

    def class_features(self) -> tuple[Tensor, Tensor]:
        """`W` `(K, d)` and `b` `(K,)`."""
        return self.prompt_learner.weight[self.row_of], self.prompt_learner.bias[self.row_of]

    def logits(self, image: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        return F.linear(image, *text)

    def pooled(self, image: Tensor, text: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return normalised(image), normalised(text[0])

    def fit(self, features: Tensor, labels: Tensor) -> None:
        problem = LogisticRegression(features[0], labels, len(self.classnames))
        images = self.tuning_images()
        self.strength, solution = (
            (self.cfg.C, problem.solve(self.cfg.C))
            if images is None
            else search(problem, self.cfg.NUM_STEP, *images)
        )
        print(f"C is {self.strength:.4g}; {solution.remark}")
        with torch.no_grad():
            self.prompt_learner.weight.copy_(self.by_row(solution.weight))
            self.prompt_learner.bias.copy_(self.by_row(solution.bias))

    @property
    def chosen(self) -> dict[str, float]:
        return {"C": self.strength} if self.strength else {}


def search(
    problem: LogisticRegression, steps: int, features: Tensor, labels: Tensor
) -> tuple[float, Solution]:
    """The `C` whose optimum is best on images `(N, d)` that were not fitted, and that optimum.

    First the grid, where the largest of the best `C` counts; then, between its tenth and ten times
    it, an interval whose worse end, the right one of equals, moves to the geometric mean.
    """
    found: dict[float, tuple[float, Solution]] = {}

    def hits(strength: float) -> float:
        if strength not in found:
            solution = problem.solve(strength)
            found[strength] = accuracy(solution(features), labels), solution
        return found[strength][0]

    for strength in sorted(GRID):  # each starts at the last one's optimum
        hits(strength)
    taken = max(GRID, key=hits)
    left, right = taken / 10, taken * 10
    for _ in range(steps):
        if hits(right) > hits(left):
            taken, left = right, math.sqrt(left * right)
        else:
            taken, right = left, math.sqrt(left * right)
    return taken, found[taken][1]
