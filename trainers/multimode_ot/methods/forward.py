"""From a batch of images to logits, the same for all methods.

Axes: `B` images, `K` classes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ..backbone.clip import CLIP
from ..backbone.precision import Precision
from .nonfinite import raise_for_nonfinite


class ForwardPass(nn.Module):
    """Mixed into a method, which defines the three steps."""

    clip: CLIP
    prompt_learner: nn.Module
    precision: Precision
    unconverged: Tensor  # int64 scalar; counts on the device, read once an epoch

    @abstractmethod
    def class_features(self) -> Any:
        """All that the logits need of the classes and that does not depend on the image."""

    @abstractmethod
    def image_features(self, images: Tensor) -> Any:
        """All that the logits need of the images `(B, 3, H, W)`."""

    @abstractmethod
    def logits(self, image: Any, text: Any) -> Tensor:
        """`(B, K)`, in float32 at least, outside autocast."""

    def pop_unconverged(self) -> int:
        """Transport problems that hit the iteration cap since the last call."""
        count = int(self.unconverged)
        self.unconverged.zero_()
        return count

    def forward(self, images: Tensor, class_features: Any = None) -> Tensor:
        """Logits `(B, K)`, float32; arguments and errors as of `see`."""
        return self.see(images, class_features)[2]

    def see(self, images: Tensor, class_features: Any = None) -> tuple[Any, Any, Tensor]:
        """What `image_features`, `class_features` and `logits` make of a batch.

        Args:
            images: `(B, 3, H, W)`, normalised, at the backbone's resolution.
            class_features: `self.class_features()` of earlier, to be computed once for many
                batches; made here if left out.

        Raises:
            ValueError: images of another size.
            FloatingPointError: NaN or Inf, with the tensor in which it appeared first. (Training
                on CUDA does not look, since that would stall the device; the trainer looks at the
                loss, which it reads anyway, and then calls `diagnose`.)
        """
        self.check_images(images)
        with self.tower_context(images.device):
            image = self.image_features(images)
            text = self.class_features() if class_features is None else class_features
        with torch.autocast(images.device.type, enabled=False):
            logits = self.logits(image, text)
        stalls = logits.device.type != "cpu" and self.prompt_learner.training
        if not stalls and not logits.isfinite().all():
            prompts = dict(self.prompt_learner.named_parameters())
            raise_for_nonfinite(images=images, prompts=prompts)
            raise_for_nonfinite(image_features=image, class_features=text, logits=logits)
        return image, text, logits

    def check_images(self, images: Tensor) -> None:
        """Refuse images of another size than the backbone's."""
        size = (3, self.clip.resolution, self.clip.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != size:
            raise ValueError(
                f"images of shape {tuple(images.shape)}: {self.clip.name} takes "
                f"(B, {', '.join(map(str, size))})"
            )

    def tower_context(self, device: torch.device):
        """Autocast while training, if the precision says so."""
        autocasting = self.prompt_learner.training and torch.is_grad_enabled()
        return (self.precision if autocasting else Precision()).training_context(device)

    @torch.no_grad()
    def diagnose(self, images: Tensor) -> None:
        """Raise `FloatingPointError` naming the first non-finite tensor of a forward pass."""
        training = self.prompt_learner.training
        try:
            self.eval()(images)
        finally:
            self.train(training)

    @property
    def device(self) -> torch.device:
        return self.clip.logit_scale.device

    @property
    def logit_scale(self) -> Tensor:
        """CLIP's frozen `exp(logit_scale)`."""
        return self.clip.logit_scale.float().exp()
