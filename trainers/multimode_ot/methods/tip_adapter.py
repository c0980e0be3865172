"""Tip-Adapter: the few-shot images as a cache that votes beside zero-shot CLIP.

R. Zhang, W. Zhang, R. Fang, P. Gao, K. Li, J. Dai, Y. Qiao, H. Li, "Tip-Adapter: Training-free
Adaption of CLIP for Few-shot Classification", ECCV 2022 (arXiv 2207.09519).
Axes: `B` images, `K` current and `C` cached classes, `N` cached images, `d` joint width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import TIP_ADAPTER_TEMPLATES
from ..config import Check, Setting, Settings
from .class_bound import ClassBound
from .prompts import put_classnames
from .tip_cache import Cache, check_grid, grid, hits_on
from .tuning import Tuned, nearest_best


class TipAdapter(Tuned, ClassBound):
    """`logits = exp(logit_scale) <z, w> + alpha sum_n exp(-beta (1 - <z, g_n>)) [y_n = k]`: keys
    `g_n` are the normalised mean of each training image's features, not normalised, over
    `AUGMENTATIONS` views (equations 3 to 6). Nothing is trained."""

    name = "TipAdapter"
    trains = "nothing: it keeps a cache of the training images"
    settings: ClassVar[Settings] = {
        "AUGMENTATIONS": Setting(10, "views of each training image in its key", least=1),
        "ALPHA": Setting(1.0, "weight of the cache, where it is not searched", above=0),
        "BETA": Setting(1.0, "sharpness of the cache, where it is not searched", above=0),
        "SEARCH_SCALE": Setting(
            (), "upper ends of beta and alpha; (): the original's for the data"
        ),
        "SEARCH_STEP": Setting((200, 20), "how many values of beta and of alpha are tried"),
    }
    templates = TIP_ADAPTER_TEMPLATES
    fits_at_once = True
    starts_anew = True
    by_image = ("cache_keys", "labels")
    prompt_learner: Cache

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        check_grid(check)

    def build_rows(self, classes: int) -> Cache:
        cfg = self.cfg
        return Cache(self.clip.embed_width, cfg.ALPHA, cfg.BETA, trained=not self.fits_at_once)

    def check_rows(self) -> None:
        keys, labels = len(self.prompt_learner.cache_keys), self.prompt_learner.labels
        if keys != len(labels):
            raise ValueError(
                f"cache_keys has {keys} rows and labels has {len(labels)}: each key needs the "
                "label of its image, in the order of the cache"
            )
        classes = len(self.trained_classes)
        if keys and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(
                f"labels has {int(labels.min())} to {int(labels.max())}, but there are {classes} "
                f"classes: they must be between 0 and {classes - 1}"
            )

    def passes(self) -> int:
        return self.cfg.AUGMENTATIONS

    @torch.no_grad()
    def collect(self, features: Tensor, labels: Tensor) -> None:
        """Make the cache, of the current classes."""
        learner = self.prompt_learner
        learner.cache_keys.data = normalised(features[: self.cfg.AUGMENTATIONS].mean(0))
        learner.labels = labels.clone()
        put_classnames(learner, self.classnames, self.class_ids)
        self.set_classes(self.classnames)

    def fit(self, features: Tensor, labels: Tensor) -> None:
        self.tune()

    def votes(self, affinity: Tensor) -> Tensor:
        """Sums over the cached images of each current class, `(N, B)` to `(B, K)`; none for a class
        without any."""
        sums = affinity.new_zeros(self.row_count, affinity.shape[1])
        sums = sums.index_add(0, self.prompt_learner.labels, affinity)
        return self.of_classes(sums, affinity.new_zeros(())).T

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        learner, z = self.prompt_learner, normalised(image)
        distances = 1 - learner.cache_keys @ z.T  # (N, B)
        cached = self.votes((-learner.beta * distances).exp())
        return self.logit_scale * z @ text.T + learner.alpha * cached

    @property
    def chosen(self) -> dict[str, float]:
        learner = self.prompt_learner
        found = {"ALPHA": learner.alpha, "BETA": learner.beta}
        tuned = self.cfg.TUNE != "none"
        return {key: float(f"{value.item():.7g}") for key, value in found.items() if tuned}

    @torch.no_grad()
    def tune(self) -> None:
        """Search `alpha` and `beta` where `TUNE` says so. On "val" ties go to the values nearest
        `ALPHA` and `BETA`; on "test" to the first of the grid, as in the original."""
        images = self.tuning_images()
        if images is None:
            return
        points = grid(self.cfg, self.dataset)
        text, keys = self.logit_scale * self.text_side(), self.prompt_learner.cache_keys
        hits = hits_on(points, normalised(images[0]), images[1], text, keys, self.votes)
        best = points[hits.index(max(hits))]
        if self.cfg.TUNE == "val":
            best = nearest_best(points, hits, (self.cfg.BETA, self.cfg.ALPHA))
        self.prompt_learner.beta.fill_(best[0])
        self.prompt_learner.alpha.fill_(best[1])
