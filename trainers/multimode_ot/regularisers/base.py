"""What a regulariser is: any of a few hooks into a training step and an epoch.

Axes: `B` images, `K` classes, `d` joint width; `...` are modes, and images where text depends on
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from yacs.config import CfgNode

from ..config import Check, Setting


class Model(Protocol):
    """What regularisers read of a method's model (`methods.base.PromptedCLIP`)."""

    prompt_learner: nn.Module
    dataset: str | None

    @property
    def logit_scale(self) -> Tensor: ...

    @property
    def in_half(self) -> bool: ...

    def pooled(self, image: Any, text: Any) -> tuple[Tensor, Tensor]: ...

    def frozen_text(self, templates: tuple[str, ...], unit: bool = True) -> Tensor: ...

    def frozen_image(self, images: Tensor, wide: bool = False) -> Tensor: ...


@dataclass
class Seen:
    """What a training step has of a batch when the loss is made.

    Attributes:
        model: the method's model.
        images: `(B, 3, H, W)`, normalised.
        labels: `(B,)`.
        image, text: what the method's `image_features` and `class_features` returned.
        logits: `(B, K)`, float32.
        other_views: further augmentations of the same images, `views - 1` of the method.
    """

    model: Model
    images: Tensor
    labels: Tensor
    image: Any
    text: Any
    logits: Tensor
    other_views: Sequence[Tensor] = ()

    @cached_property
    def pooled(self) -> tuple[Tensor, Tensor]:
        """The learned features of images `(..., B, d)` and classes `(..., K, d)`, unit vectors."""
        return self.model.pooled(self.image, self.text)

    @cached_property
    def frozen_image(self) -> Tensor:
        """Untouched CLIP's features of the same images, `(B, d)`, unit vectors, constant; computed
        once a step for all who ask."""
        return self.model.frozen_image(self.images)

    @cached_property
    def wide_frozen_image(self) -> Tensor:
        """The same in float32, whatever the towers compute in."""
        if not self.model.in_half:
            return self.frozen_image
        return self.model.frozen_image(self.images, wide=True)


class Regulariser:
    """One part; subclasses override the hooks that they need.

    Args:
        settings: its own node, `TRAINER.<METHOD>.<NAME>`.
    """

    settings: ClassVar[Mapping[str, Setting]] = {}

    def __init__(self, settings: CfgNode):
        self.cfg = settings

    @classmethod
    def unfit(cls, method: Any) -> str:
        """Why a method (a class) cannot take it; "" if it can."""
        return "" if method.trains else "it trains nothing"

    @classmethod
    def check_settings(cls, check: Check) -> None:
        """Refuse what the declarations of the settings cannot."""

    def loss_terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """Scalars to add to the loss, by the names under which they are logged."""
        return {}

    def guide(self, seen: Seen) -> Tensor | None:
        """A scalar that is not minimised; `change_gradients` gets its gradient."""
        return None

    @property
    def changes_gradients(self) -> bool:
        return type(self).change_gradients is not Regulariser.change_gradients

    def change_gradients(self, trained: Sequence[Tensor], guide: Sequence[Tensor | None]) -> None:
        """Change `.grad` of the trained tensors in place, before the optimiser's step.

        Args:
            trained: the tensors that have a gradient, free of any loss scale.
            guide: the guide's gradients of the same tensors, up to one common positive factor.
        """

    def training_starts(self, model: Model, epoch: int) -> None:
        """Called before the first step; `epoch` epochs have been finished before (on resuming)."""

    def epoch_ended(self, model: Model, epoch: int, epochs: int) -> None:
        """Called after the last step of epoch `epoch` (from 1) of `epochs`."""

    def training_ended(self, model: Model) -> None:
        """Called after the last epoch, before its checkpoint is saved and the model is tested."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs besides the prompts: tensors and plain data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()` of a checkpoint."""
