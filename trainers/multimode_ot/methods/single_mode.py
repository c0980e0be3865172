"""What most methods share: one feature an image, one a class, and the cosine between them.

Axes: `B` images, `K` classes, `L` tokens, `b` context vectors, `w` text width, `d` joint width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from torch import Tensor

from ..backbone.class_tokens import embed_classes, insert_context
from ..backbone.encoders import encode_image, encode_text_pooled, normalised
from ..backbone.packed_text import PackedClasses
from ..config import Settings
from .base import PromptedCLIP
from .prompts import TEXT_MEMORY, ContextLearner, Prompts


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
    """Context vectors in front of the class names, and deep text prompts if there are any.

    Where the classes share them, the text tower runs packed, otherwise padded: see `sharing`.
    """

    trains = "context vectors"
    learned: ClassVar[tuple[str, ...]] = ("text",)
    settings: ClassVar[Settings] = TEXT_MEMORY

    classes: PackedClasses  # if sharing; else:
    embeddings: Tensor  # (K, L, w)
    eos: Tensor  # (K,)
    name_lengths: Tensor  # (K,)

    @property
    def prefix(self) -> str:
        """The words or placeholders before the class name, whose first tokens are learned."""
        learner = cast(ContextLearner, self.prompt_learner)
        return learner.prefix

    @property
    def sharing(self) -> bool:
        """Whether prompts of classes differ in the names alone, which stand behind all the rest.

        The rest is SOS, context, deep prompts, and the other words of `prefix`, learned or not. If
        so, it runs once, the names packed behind it (`classes`); else each class runs its row of
        `rows`, padded to the longest. Features and gradients are the same either way.

        A method inherits this. One that has `rows` of its own runs padded by that alone, and may
        say here when they are the inherited ones after all (`CoOp`). One that puts tokens of single
        classes into the tower in another way, or needs `embeddings`, sets `sharing = False`.
        """
        return type(self).rows is LearnedContext.rows

    def set_classes(self, classnames: Sequence[str]) -> None:
        if self.sharing:
            classes = PackedClasses(self.clip, classnames, [self.prefix])
            super().set_classes(classnames)
            self.classes = classes
            return
        tokens = embed_classes(self.clip, classnames, [self.prefix])
        super().set_classes(classnames)
        self.register_buffer("embeddings", tokens.embeddings.squeeze(1), persistent=False)
        self.register_buffer("eos", tokens.eos.squeeze(1), persistent=False)
        self.register_buffer("name_lengths", tokens.name_lengths, persistent=False)

    @property
    def memory(self) -> int:
        """Bytes that the text tower may hold for the backward pass."""
        return self.cfg.MEMORY_MB * 2**20

    def rows(self, context: Tensor) -> Tensor:
        """The prompts of all classes as embeddings `(K, L, w)`; without `sharing`."""
        return insert_context(self.embeddings, context)

    def learned_words(self) -> dict[str, Tensor]:
        context = self.prompts().text[0]
        if context.ndim == 2:
            return {"context": context}
        own = enumerate(zip(self.classnames, context, strict=True), start=1)
        return {f"context of class {k}, {name}": tokens for k, (name, tokens) in own}

    def features_behind(self, contexts: Tensor, deep: Sequence[Tensor] = ()) -> Tensor:
        """Normalised features of all classes behind each of `N` contexts `(N, b, w)`, with deep
        prompts likewise: `(K, N, d)`."""
        return normalised(self.classes.features(self.clip, contexts, deep, self.memory))

    def class_features(self) -> Any:
        """`(K, d)`, normalised."""
        context, *deep = self.prompts().text
        if self.sharing:
            deep = [prompt.unsqueeze(0) for prompt in deep]
            return self.features_behind(context.unsqueeze(0), deep).squeeze(1)
        rows = self.rows(context)
        return normalised(encode_text_pooled(self.clip, rows, self.eos, deep, self.memory))
