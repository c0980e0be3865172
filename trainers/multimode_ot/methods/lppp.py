"""LP++: a linear probe whose text features have a weight of their own for each class.

Y. Huang, F. Shakeri, J. Dolz, M. Boudiaf, H. Bahig, I. Ben Ayed, "LP++: A Surprisingly Strong
Linear Probe for Few-Shot CLIP", CVPR 2024 (arXiv 2404.02285).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import TIP_ADAPTER_TEMPLATES
from ..config import Setting, Settings
from .class_bound import ClassBound
from .tuning import BestEpoch

ALPHA_START = 250  # times the mean cosine of an image and its class


class Probe(nn.Module):
    """`weight` `(C, d)`, zeros; `bias` `(C,)`, as torch starts one; `alpha` `(C,)`, one number."""

    def __init__(self, classes: int, width: int, alpha: float):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, width))
        self.bias = nn.Parameter(torch.empty(classes).uniform_(-(width**-0.5), width**-0.5))
        self.alpha = nn.Parameter(torch.full((classes,), alpha))


class LPPP(BestEpoch, ClassBound):
    """`logits_k = <w_k + alpha_k t_k, z> + b_k`, all images in one batch; the step sizes of `w` and
    `b`, and of `alpha`, follow from the data, and OPTIM.LR is not read."""

    name = "LPPP"
    trains = "a weight, a bias, and a factor of the text feature for each class"
    learned = ("text",)
    settings: ClassVar[Settings] = {
        "VIEWS": Setting(1, "augmented views of each training image, all in the batch", least=1),
        "ALPHA_EVERY": Setting(10, "epochs between two steps of alpha", least=1),
        "ALPHA_GRADIENT": Setting(
            "accumulated",
            "of a step of alpha: the sum over all epochs so far, as in the original's program, or "
            "the current one, as in its paper",
            one_of=("accumulated", "current"),
        ),
    }
    starts_anew = True
    templates = TIP_ADAPTER_TEMPLATES
    prompt_learner: Probe
    rates: Mapping[str, float] = {"lr": 0.0, "alpha_lr": 0.0}  # until there are images
    alpha_gradient: Tensor | None = None

    def build_rows(self, classes: int) -> Probe:
        return Probe(classes, self.clip.embed_width, float(self.logit_scale))

    @torch.no_grad()
    def collect(self, features: Tensor, labels: Tensor) -> None:
        """The step sizes (section 4 of the paper) and the start: `w_k` is the sum of its images'
        features, `alpha` 250 times the mean over the classes of images' cosines with theirs."""
        z, labels = normalised(features.flatten(0, 1)), labels.repeat(len(features))
        text, learner = self.text_side(), self.prompt_learner
        cosines, curvature = z @ text.T, torch.linalg.eigvalsh((z.T @ z).double())[-1]
        self.rates = {
            "lr": 4 * len(z) / curvature.item(),
            "alpha_lr": len(z) / (4 * cosines.square().sum(0).max().item()),
        }
        print("Steps from the data: " + ", ".join(f"{k} {v:.4g}" for k, v in self.rates.items()))
        count = torch.bincount(labels, minlength=len(text))
        own = cosines.gather(1, labels[:, None])[:, 0]
        means = own.new_zeros(len(text)).index_add_(0, labels, own)[count > 0] / count[count > 0]
        learner.alpha.fill_(ALPHA_START * means.mean())
        learner.weight.copy_(self.by_row(torch.zeros_like(text).index_add_(0, labels, z)))

    def optimiser_arguments(self) -> dict[str, Any]:
        return {"lr": self.rates["lr"]}

    def batches(self, epoch: int, passes: int, images: int, size: int) -> list[Tensor]:
        return [torch.arange(passes * images)]

    def class_features(self) -> tuple[Tensor, Tensor]:
        """`w_k + alpha_k t_k`, `(K, d)`, and `b`, `(K,)`; without a row, zero-shot CLIP's."""
        learner, text = self.prompt_learner, self.text_side()
        nothing = text.new_zeros(())
        alpha = self.of_classes(learner.alpha, self.logit_scale)
        rows = self.of_classes(learner.weight, nothing) + alpha[:, None] * text
        return rows, self.of_classes(learner.bias, nothing)

    def logits(self, image: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        return normalised(image) @ text[0].T + text[1]

    def pooled(self, image: Tensor, text: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return normalised(image), normalised(text[0])

    def change_gradients(self, trained: Sequence[Tensor]) -> None:
        """Take alpha's gradient away from the optimiser, which leaves alpha alone."""
        gradient, before = self.prompt_learner.alpha.grad, self.alpha_gradient
        if gradient is None:
            return
        current = self.cfg.ALPHA_GRADIENT == "current"
        self.alpha_gradient = gradient.clone() if before is None or current else gradient + before
        gradient.zero_()

    @torch.no_grad()
    def epoch_ended(self, epoch: int, epochs: int) -> None:
        if self.alpha_gradient is not None and epoch % self.cfg.ALPHA_EVERY == 0:
            self.prompt_learner.alpha.sub_(self.alpha_gradient, alpha=self.rates["alpha_lr"])
        super().epoch_ended(epoch, epochs)

    @property
    def chosen(self) -> dict[str, float]:
        return {**(self.rates if self.rates["lr"] else {}), **super().chosen}

    def training_state(self) -> dict[str, Any]:
        return {"alpha_gradient": self.alpha_gradient, **super().training_state()}
