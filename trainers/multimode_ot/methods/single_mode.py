"""What most methods share: one feature an image, one a class, and the cosine between them.

Axes: `B` images, `K` classes, `L` tokens, `b` context vectors, `w` text width, `d` joint width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from torch import Tensor

from ..backbone.class_tokens import embed_classes, insert_context
from ..backbone.encoders import encode_image, encode_text_pooled, normalised
from .base import PromptedCLIP
from .prompts import ContextLearner, Prompts


class SingleMode(PromptedCLIP):
    """`logits = exp(logit_scale) <z, h>` for the normalised features of image and class."""

    def prompts(self) -> Prompts:
        return self.prompt_learner()

    def image_features(self, images: Tensor) -> Any:
        """`(B, d)`, normalised."""
        prompts = [prompt.unsqueeze(0) for prompt in self.prompts().vision]  # one mode each
        return normalised(encode_image(self.clip, images, prompts, pooled_only=True)[:, 0, 0])

    def logits(self, image: Any, text: Any) -> Tensor:
        return self.logit_scale * image @ text.T


class LearnedContext(SingleMode):
    """Context vectors in front of the class names, and deep text prompts if there are any."""

    trains = "context vectors"
    learned: ClassVar[tuple[str, ...]] = ("text",)

    embeddings: Tensor  # (K, L, w)
    eos: Tensor  # (K,)
    name_lengths: Tensor  # (K,)

    @property
    def prefix(self) -> str:
        """The words or placeholders before the class name, whose first tokens are learned."""
        learner = cast(ContextLearner, self.prompt_learner)
        return learner.prefix

    def set_classes(self, classnames: Sequence[str]) -> None:
        tokens = embed_classes(self.clip, classnames, [self.prefix])
        super().set_classes(classnames)
        self.register_buffer("embeddings", tokens.embeddings.squeeze(1), persistent=False)
        self.register_buffer("eos", tokens.eos.squeeze(1), persistent=False)
        self.register_buffer("name_lengths", tokens.name_lengths, persistent=False)

    def rows(self, context: Tensor) -> Tensor:
        """The prompts of all classes as embeddings `(K, L, w)`."""
        return insert_context(self.embeddings, context)

    def class_features(self) -> Any:
        """`(K, d)`, normalised."""
        context, *deep = self.prompts().text
        return normalised(encode_text_pooled(self.clip, self.rows(context), self.eos, deep))
