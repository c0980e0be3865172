"""Zero-shot CLIP: hand-written templates, nothing trained.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..class_tokens import readable, tokenize
from ..encoders import encode_image, encode_text, project_text
from ..model import PromptedCLIP, normalised
from ..templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, IMAGENET_TEMPLATES


class ZeroshotCLIP(PromptedCLIP):
    """One template, the data set's own."""

    name = "ZeroshotCLIP"
    trains = False

    def templates(self) -> list[str]:
        return [DATASET_TEMPLATES.get(self.dataset or "", DEFAULT_TEMPLATE)]

    def set_classes(self, classnames: Sequence[str]) -> None:
        if not len(classnames):
            raise ValueError("classnames is empty: at least one class name is needed")
        self.classnames = [readable(name) for name in classnames]

    def class_features(self) -> Tensor:
        """`(K, d)`: normalised, averaged over the templates, normalised."""
        per_template = []
        for template in self.templates():
            texts = [template.format(name) for name in self.classnames]
            ids = tokenize(texts, self.clip.context_length).to(self.device)
            eos = ids.argmax(-1)  # the EOS has the highest id
            ids = ids[:, : int(eos.max()) + 1]
            outputs = encode_text(self.clip, self.clip.token_embedding(ids))
            pooled = outputs[torch.arange(len(ids), device=ids.device), eos]
            per_template.append(normalised(project_text(self.clip, pooled)))
        return normalised(torch.stack(per_template).mean(0))

    def image_features(self, images: Tensor) -> Tensor:
        return normalised(encode_image(self.clip, images, pooled_only=True)[:, 0, 0])

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        return self.logit_scale * image @ text.T


class ZeroshotCLIP2(ZeroshotCLIP):
    """An ensemble: seven templates chosen on ImageNet, and the data set's own elsewhere."""

    name = "ZeroshotCLIP2"

    def templates(self) -> list[str]:
        own = [] if self.dataset == "ImageNet" else super().templates()
        return IMAGENET_TEMPLATES + own
