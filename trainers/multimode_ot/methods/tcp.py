"""TCP: context vectors, and tokens of each class made of its frozen text feature.

H. Yao, R. Zhang, C. Xu, "TCP: Textual-based Class-aware Prompt Tuning for Visual-Language Model",
CVPR 2024 (arXiv 2311.18231).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbone.class_tokens import check_classnames, embed_texts, readable
from ..backbone.clip import CLIP
from ..backbone.encoders import encode_text_pooled, normalised
from ..backbone.tcp_templates import DEFAULT_PROMPT, TCP_PROMPTS, TCP_TEACHERS
from ..backbone.templates import dataset_template
from ..config import Check, Original, Setting, Settings
from ..regularisers import Seen
from .prompts import CONTEXT_SETTINGS, UNREAD_LOSS, USUAL_WORDS, ContextLearner, usual_words
from .single_mode import LearnedContext

TOKENS = 4  # of the context, and of a class


class MetaNet(nn.Module):
    """Text features `(K, d)` to class tokens `(K, 4, w)`, through `d / 4` hidden units."""

    def __init__(self, width: int, text_width: int):
        super().__init__()
        self.linear1 = nn.Linear(width, width // 4)
        self.linear2 = nn.Linear(width // 4, TOKENS * text_width)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.linear1(features)
        return self.linear2(hidden * torch.sigmoid(1.702 * hidden)).unflatten(-1, (TOKENS, -1))


class ClassAwareLearner(ContextLearner):
    """A context, and the network of the class tokens."""

    def __init__(self, clip: CLIP, sentence: str):
        super().__init__(clip, TOKENS, sentence)
        self.meta_net = MetaNet(clip.embed_width, clip.text_width)


class TCP(LearnedContext):
    """A context that is replaced by tokens of each class in the middle of the text tower."""

    name = "TCP"
    trains = "context vectors, and a network that makes tokens of each class"
    settings: ClassVar[Settings] = {
        **CONTEXT_SETTINGS,
        "N_CTX": Setting(TOKENS, "context vectors: the prompts are made for 4"),
        "W": Setting(8.0, "weight of the distance to frozen text features", least=0),
        "CLASS_TOKEN_WEIGHT": Setting(1.0, "factor of the class tokens", above=0),
        "CLASS_TOKEN_BLOCK": Setting(
            8,
            "the block before which they join; a text tower without it gets none",
            least=1,
            layers_left=1,
        ),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        **{f"TRAINER.COOP.{key}": Original(key) for key in ("N_CTX", "PREC")},
        "TRAINER.COOP.CTX_INIT": Original("CTX_INIT", usual_words),
        "TRAINER.TCP.CTX_INIT": Original("CTX_INIT", usual_words),
        # Which the original reads, if at all, to no effect: W as well, which is 8 there.
        **dict.fromkeys(
            [f"TRAINER.COOP.{k}" for k in ("W", "CSC", "ALPHA", "CLASS_TOKEN_POSITION")], Original()
        ),
        "TRAINER.COCOOP.PREC": Original(),
        **UNREAD_LOSS,
    }
    sharing = False
    prompt_learner: ClassAwareLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.N_CTX != TOKENS:
            check.refuse("N_CTX", f"must be {TOKENS}: the prompts of all data sets are made for it")
        if check.settings.CTX_INIT.replace("_", " ") not in ("", USUAL_WORDS):
            check.refuse("CTX_INIT", f"must be {USUAL_WORDS!r}, or '' for a random start")

    def build_prompt_learner(self) -> ClassAwareLearner:
        return ClassAwareLearner(self.clip, self.cfg.CTX_INIT.replace("_", " "))

    def set_classes(self, classnames: Sequence[str]) -> None:
        template = TCP_PROMPTS.get(self.dataset or "", DEFAULT_PROMPT)
        check_classnames(classnames, self.clip.context_length, self.unique_names)
        texts = [template.format(readable(name)) for name in classnames]
        embeddings, eos = embed_texts(self.clip, texts)
        super(LearnedContext, self).set_classes(classnames)
        self.register_buffer("embeddings", embeddings, persistent=False)
        self.register_buffer("eos", eos, persistent=False)

    def teacher(self) -> Tensor:
        """Frozen CLIP's text features, `(K, d)`, normalised."""
        return self.frozen_text((dataset_template(self.dataset, TCP_TEACHERS),))

    def class_features(self) -> Tensor:
        """`(K, d)`, normalised."""
        tokens = self.cfg.CLASS_TOKEN_WEIGHT * self.prompt_learner.meta_net(self.teacher())
        deep = [*[None] * (self.cfg.CLASS_TOKEN_BLOCK - 1), tokens]
        rows = self.rows(self.prompt_learner.ctx)
        return normalised(encode_text_pooled(self.clip, rows, self.eos, deep, self.memory))

    def loss_terms(self, seen: Seen) -> dict[str, Tensor]:
        _, text = seen.pooled
        gap = 1 - (text * self.teacher()).sum(-1).mean()
        return super().loss_terms(seen) | {"class_consistency": self.cfg.W * gap}

    def optimiser_arguments(self) -> dict[str, Any]:
        return {"eps": 1e-3}
