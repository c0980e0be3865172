"""What untouched CLIP says of a model's classes and images, for methods and regularisers.

Axes: `B` images, `K` classes, `d` joint width.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..backbone.clip import CLIP
from ..backbone.encoders import encode_image, normalised
from ..backbone.zero_shot import template_features


class FrozenFeatures:
    """Mixed into a model that has a `clip` and current `classnames`."""

    clip: CLIP
    classnames: list[str]
    _frozen_text: dict[tuple[Any, ...], Tensor]  # emptied with the classes

    def frozen_text(
        self,
        templates: tuple[str, ...],
        unit: bool = True,
        whole: bool = True,
        raw_names: bool = False,
    ) -> Tensor:
        """Frozen CLIP's features of the current classes, `(K, d)`, constant; computed at the first
        call, in float32 whatever the towers compute in, again for other classes, never saved.

        Args:
            templates: with `{}` for the class name; the features are averaged over them.
            unit: normalise each before they are averaged.
            whole: normalise the average.
            raw_names: leave the underscores in the class names.
        """
        key, device = (templates, unit, whole, raw_names), self.clip.logit_scale.device
        if key not in self._frozen_text:
            # Without autocast, so that training and evaluation have the same text.
            plain = torch.autocast(device.type, enabled=False)
            with plain, torch.inference_mode(False), torch.no_grad():
                low = self.clip.dtype.itemsize < torch.float32.itemsize
                clip = copy.deepcopy(self.clip).cast(torch.float32) if low else self.clip
                features = template_features(clip, self.classnames, *key)
            self._frozen_text[key] = features
        self._frozen_text[key] = self._frozen_text[key].to(device)
        return self._frozen_text[key]

    @torch.no_grad()
    def frozen_image(self, images: Tensor) -> Tensor:
        """Frozen CLIP's features of images, `(B, d)`, unit vectors, constant, computed in the
        towers' precision without autocast."""
        with torch.autocast(images.device.type, enabled=False):
            return normalised(encode_image(self.clip, images, pooled_only=True)[:, 0, 0])
