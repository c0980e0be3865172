"""CoCoOp: a context that depends on the image.

K. Zhou, J. Yang, C. C. Loy, Z. Liu, "Conditional Prompt Learning for Vision-Language Models",
CVPR 2022 (arXiv 2203.05557).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from ..backbone.clip import CLIP
from ..config import Settings
from .prompts import CONTEXT_SETTINGS, ContextLearner
from .single_mode import LearnedContext


class ConditionalContextLearner(ContextLearner):
    """A context, and the meta-net that shifts it by a function of the image feature."""

    def __init__(self, clip: CLIP, n_ctx: int, sentence: str):
        super().__init__(clip, n_ctx, sentence)
        hidden = clip.embed_width // 16
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(clip.embed_width, hidden),
                relu=nn.ReLU(),
                linear2=nn.Linear(hidden, clip.text_width),
            )
        )

    def shifted(self, image: Tensor) -> Tensor:
        """The contexts `(B, b, w)` of normalised image features `(B, d)`."""
        return self.ctx + self.meta_net(image).unsqueeze(1)


class Conditional(NamedTuple):
    """Normalised features of `B` images, and of the `K` classes as each image sees them."""

    image: Tensor  # (B, d)
    text: Tensor  # (B, K, d)


class CoCoOp(LearnedContext):
    """Every image shifts the context of all classes."""

    name = "CoCoOp"
    trains = "context vectors, and the meta-net that shifts them by the image"
    settings: ClassVar[Settings] = CONTEXT_SETTINGS
    prompt_learner: ConditionalContextLearner

    def build_prompt_learner(self) -> ConditionalContextLearner:
        words = self.cfg.CTX_INIT.replace("_", " ")
        n_ctx = len(words.split()) or self.cfg.N_CTX
        return ConditionalContextLearner(self.clip, n_ctx, words)

    def learned_words(self) -> dict[str, Tensor]:
        return {"context, before an image shifts it": self.prompt_learner.ctx}

    def class_features(self) -> tuple[()]:
        """Nothing: all that is known of the classes depends on the image."""
        return ()

    def image_features(self, images: Tensor) -> Conditional:
        image = super().image_features(images)
        contexts = self.prompt_learner.shifted(image)  # (B, b, w)
        return Conditional(image, self.features_behind(contexts).transpose(0, 1))

    def pooled(self, image: Conditional, text: tuple[()]) -> tuple[Tensor, Tensor]:
        return image.image, image.text

    def logits(self, image: Conditional, text: tuple[()]) -> Tensor:
        return self.logit_scale * (image.text @ image.image.unsqueeze(-1)).squeeze(-1)
