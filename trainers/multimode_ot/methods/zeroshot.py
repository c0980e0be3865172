"""Zero-shot CLIP: hand-written templates, nothing trained.

A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..class_tokens import readable, tokenize
from ..encoders import encode_text_pooled
from ..model import normalised
from ..prompts import NoPrompts
from ..single_mode import SingleMode
from ..templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE, IMAGENET_TEMPLATES


class ZeroshotCLIP(SingleMode):
    """One template, the data set's own."""

    name = "ZeroshotCLIP"
    trains = False

    def templates(self) -> list[str]:
        return [DATASET_TEMPLATES.get(self.dataset or "", DEFAULT_TEMPLATE)]

    def build_prompt_learner(self) -> nn.Module:
        return NoPrompts()

    def class_features(self) -> Tensor:
        """`(K, d)`: normalised, averaged over the templates, normalised."""
        per_template = []
        for template in self.templates():
            texts = [template.format(readable(name)) for name in self.classnames]
            ids = tokenize(texts, self.clip.context_length).to(self.device)
            eos = ids.argmax(-1)  # the EOS has the highest id
            ids = ids[:, : int(eos.max()) + 1]
            embeddings = self.clip.token_embedding(ids)
            per_template.append(normalised(encode_text_pooled(self.clip, embeddings, eos)))
        return normalised(torch.stack(per_template).mean(0))


class ZeroshotCLIP2(ZeroshotCLIP):
    """An ensemble: seven templates chosen on ImageNet, and the data set's own elsewhere."""

    name = "ZeroshotCLIP2"

    def templates(self) -> list[str]:
        own = [] if self.dataset == "ImageNet" else super().templates()
        return IMAGENET_TEMPLATES + own
