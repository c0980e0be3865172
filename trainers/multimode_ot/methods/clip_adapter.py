"""CLIP-Adapter: a bottleneck on the image feature, mixed with it.

P. Gao, S. Geng, R. Zhang, T. Ma, R. Fang, Y. Zhang, H. Li, Y. Qiao, "CLIP-Adapter: Better
Vision-Language Models with Feature Adapters", IJCV 2024 (arXiv 2110.04544).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..backbone.encoders import normalised
from ..backbone.few_shot_templates import CLIP_ADAPTER_TEMPLATES
from ..config import Check, Setting, Settings
from .base import settings_path
from .on_features import OnFeatures


class Bottleneck(nn.Module):
    """`fc.0.weight` `(d / r, d)` and `fc.2.weight` `(d, d / r)`, without biases, at torch's start.

    Its output is not negative, as the original's: a ReLU follows both layers.
    """

    def __init__(self, width: int, reduction: int):
        super().__init__()
        narrow = width // reduction
        down, up = nn.Linear(width, narrow, bias=False), nn.Linear(narrow, width, bias=False)
        self.fc = nn.Sequential(down, nn.ReLU(), up, nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        return self.fc(features)


class CLIPAdapter(OnFeatures):
    """`logits = exp(logit_scale) <norm(RATIO a(f) + (1 - RATIO) f), w>`: `f` is the image feature
    as the encoder gives it, `a` the learned bottleneck, `w` the class's text. The paper's adapter
    of the text side is not in its code, and not here."""

    name = "CLIPAdapter"
    trains = "a bottleneck on the image features"
    learned = ("image",)
    settings: ClassVar[Settings] = {
        "RATIO": Setting(0.2, "share of the adapted feature, 1 at most", above=0),
        "REDUCTION": Setting(4, "how many times narrower than the features it is", least=1),
    }
    templates = CLIP_ADAPTER_TEMPLATES
    checkpoint_name = "clip_adapter"
    prompt_learner: Bottleneck

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        check.at_most("RATIO", 1, "it is a share")

    def build_prompt_learner(self) -> Bottleneck:
        width = self.clip.embed_width
        why = f"the features of {self.clip.name} have so many entries"
        Check(self.cfg, settings_path(self.name)).at_most("REDUCTION", width, why)
        return Bottleneck(width, self.cfg.REDUCTION)

    def pooled(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Of frozen image features `(B, d)`: the learned ones are made here."""
        ratio = self.cfg.RATIO
        return normalised(ratio * self.prompt_learner(image) + (1 - ratio) * image), text

    def logits(self, image: Tensor, text: Tensor) -> Tensor:
        image, text = self.pooled(image, text)
        return self.logit_scale * image @ text.T
