"""What untouched CLIP says of a model's classes and images, for methods and regularisers.

Axes: `B` images, `K` classes, `d` joint width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn

from ..backbone.clip import CLIP
from ..backbone.encoders import encode_image, normalised
from ..backbone.zero_shot import template_features, text_features


class FrozenFeatures:
    """Mixed into a model that has a `clip` and current `classnames`."""

    clip: CLIP
    classnames: list[str]
    _frozen_text: dict[Hashable, Tensor]  # emptied with the classes
    _wide: list[CLIP]  # at most one; in a list, so that it is no part of the module

    def frozen_text(
        self,
        templates: tuple[str, ...],
        unit: bool = True,
        whole: bool = True,
        raw_names: bool = False,
        projection: Tensor | None = None,
    ) -> Tensor:
        """Frozen CLIP's features of the current classes, `(K, d)`, constant; computed at the first
        call, in float32 whatever the towers compute in, again for other classes, never saved.

        Args:
            templates: with `{}` for the class name; the features are averaged over them.
            unit: normalise each before they are averaged.
            whole: normalise the average.
            raw_names: leave the underscores in the class names.
            projection: `(w_t, d)`, in the place of CLIP's own text projection.
        """
        return self._of_frozen_clip(
            (templates, unit, whole, raw_names, projection),
            lambda clip: template_features(
                clip, self.classnames, templates, unit, whole, raw_names, projection
            ),
        )

    def frozen_sentences(self, sentences: tuple[str, ...]) -> Tensor:
        """As `frozen_text`, of whole sentences, one for each of the current classes."""
        return self._of_frozen_clip(
            sentences, lambda clip: normalised(text_features(clip, sentences))
        )

    def _of_frozen_clip(self, key: Hashable, compute: Callable[[CLIP], Tensor]) -> Tensor:
        device = self.clip.logit_scale.device
        if key not in self._frozen_text:
            # Without autocast, so that training and evaluation have the same text.
            plain = torch.autocast(device.type, enabled=False)
            with plain, torch.inference_mode(False), torch.no_grad():
                clip = copy.deepcopy(self.clip).cast(torch.float32) if self.in_half else self.clip
                self._frozen_text[key] = compute(clip)
        self._frozen_text[key] = self._frozen_text[key].to(device)
        return self._frozen_text[key]

    @torch.no_grad()
    def frozen_image(self, images: Tensor, wide: bool = False) -> Tensor:
        """Frozen CLIP's features of images, `(B, d)`, unit vectors, constant, computed without
        autocast.

        Args:
            wide: in float32 whatever the towers compute in, else in their precision. For towers
                in half a copy of the image tower is made at the first call, and kept.
        """
        clip = self._wide_image_tower(images.device) if wide and self.in_half else self.clip
        with torch.autocast(images.device.type, enabled=False):
            return normalised(encode_image(clip, images, pooled_only=True)[:, 0, 0])

    @property
    def in_half(self) -> bool:
        """Whether the towers compute in a type of 16 bits."""
        return self.clip.dtype.itemsize < torch.float32.itemsize

    def _wide_image_tower(self, device: torch.device) -> CLIP:
        if not self._wide:
            text = self.clip.transformer, self.clip.token_embedding
            left_out: dict[int, nn.Module] = {id(module): nn.Identity() for module in text}
            self._wide.append(copy.deepcopy(self.clip, left_out).cast(torch.float32))
        return self._wide[0].to(device)
