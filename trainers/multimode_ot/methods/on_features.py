"""The base of methods that learn on top of frozen image features.

Axes: `P` passes over the training images, `N` training images, `B` images, `K` classes, `d` joint
width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..backbone.encoders import encode_image, normalised
from ..backbone.templates import class_templates
from ..config import Check, Setting, Settings
from .base import PromptedCLIP


class OnFeatures(PromptedCLIP):
    """Takes the features that frozen CLIP has of images, `(B, d)`, in the place of images.

    A trainer makes the features of the training images before the first step, each pass once, in
    the order of their list, gives them to `collect`, and then trains on them as on images. A method
    that is not trained in steps sets `fits_at_once` and defines `fit`.

    Class attributes:
        augmented: the features are of augmented images, as those that are trained on; else as those
            that are tested.
        fits_at_once: `fit` takes the place of the steps.
        starts_anew: training makes all that is saved from the images, whatever was loaded before.
        templates: by `DATASET.NAME`, for the text side; "" has those of other data sets.
        raw_text: the text side is the mean of the templates' features as the encoder gives them,
            normalised neither before nor after (as TaskRes and CLAP have it); else the normalised
            mean of normalised ones.

    Attributes:
        encoded: features `(N, d)` and labels `(N,)` of the "val" or "test" images, made once; a
            trainer sets it.
    """

    settings: ClassVar[Settings] = {
        "VIEWS": Setting(
            0,
            "views of each training image whose features are made before training, and trained on "
            "in turn; 0: a new view in every epoch",
            least=0,
        ),
        "CLASS_NAMES": Setting(
            "readable",
            "names in the texts: underscores become spaces, or stay ('raw', as some originals)",
            one_of=("readable", "raw"),
        ),
    }
    augmented: ClassVar[bool] = True
    fits_at_once: ClassVar[bool] = False
    starts_anew: ClassVar[bool] = False
    templates: ClassVar[dict[str, tuple[str, ...]]] = {}
    raw_text: ClassVar[bool] = False

    encoded: Callable[[str], tuple[Tensor, Tensor]]

    def text_side(self, projection: Tensor | None = None) -> Tensor:
        """The frozen text features of the current classes, `(K, d)`, constant; with another text
        projection than CLIP's if one is given, `(w_t, d)`."""
        return self.frozen_text(
            class_templates(self.dataset, self.templates),
            unit=not self.raw_text,
            whole=not self.raw_text,
            raw_names=self.cfg.CLASS_NAMES == "raw",
            projection=projection,
        )

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        for key, nothing in (("REGULARISERS", ()), ("VIEWS", 0)):
            if cls.fits_at_once and check.settings[key]:
                check.refuse(key, f"must be {nothing}, since {cls.name} takes no steps")

    def class_features(self) -> Any:
        return self.text_side()

    def check_images(self, images: Tensor) -> None:
        if images.ndim != 2:
            super().check_images(images)
        elif images.shape[1] != self.clip.embed_width:
            raise ValueError(
                f"image features of shape {tuple(images.shape)}: {self.clip.name} has "
                f"(B, {self.clip.embed_width})"
            )

    @torch.no_grad()
    def image_features(self, images: Tensor) -> Tensor:
        """`(B, d)`, as the encoder gives them, not normalised, in float32 at least."""
        if images.ndim == 2:
            return images
        features = encode_image(self.clip, images, pooled_only=True)[:, 0, 0]
        return features.to(torch.promote_types(features.dtype, torch.float32))

    def frozen_image(self, images: Tensor, wide: bool = False) -> Tensor:
        return normalised(images) if images.ndim == 2 else super().frozen_image(images, wide)

    def pooled(self, image: Any, text: Any) -> tuple[Tensor, Tensor]:
        return normalised(image), normalised(text)

    # What a method may define.

    def passes(self) -> int:
        """How often the training images are encoded before training, for `collect`, `fit` and the
        steps (which take the first `VIEWS`); 0: not at all."""
        return self.cfg.VIEWS

    def collect(self, features: Tensor, labels: Tensor) -> None:
        """What has to be made of the training images before the first step.

        Args:
            features: `(P, N, d)`, not normalised.
            labels: `(N,)`.
        """

    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Training in one go, after `collect`, with the same arguments (if `fits_at_once`)."""

    def batches(self, epoch: int, passes: int, images: int, size: int) -> list[Tensor]:
        """What the steps of an epoch (from 0) train on, as indices into `passes * images` features.

        By default one pass an epoch, in turn, shuffled, in batches of `size`, of which a last,
        smaller one is left out unless it is the only one or `steps.keep_last` is set.
        """
        order = (epoch % passes) * images + torch.randperm(images)
        split = list(order.split(size))
        short = len(split) > 1 and len(split[-1]) < size
        return split[:-1] if short and not self.steps.keep_last else split
