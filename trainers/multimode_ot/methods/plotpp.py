"""PLOT++: PLOT with visual prompts in the place of local features.

The extension to ViT by the authors of G. Chen et al., "PLOT: Prompt Learning with Optimal Transport
for Vision-Language Models", ICLR 2023 (arXiv 2210.01253), in their repository; it has no paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from ..backbone.class_tokens import PLACEHOLDER, embed_words, tokenize
from ..backbone.encoders import encode_image, normalised
from ..backbone.templates import PLOTPP_TEMPLATES, PLOTPP_USUAL
from ..config import Check, Original, Setting, Settings, require_known
from .prompts import MultiModePromptLearner
from .stages import Stage
from .transported import TransportedPrompts

VISION_ALONE, ALL = "vision", "joint"


class PLOTPP(TransportedPrompts):
    """`N` textual prompts, started from the data set's templates, and `M` visual ones, each of
    which makes a feature of its own of the image."""

    name = "PLOTPP"
    trains = "several prompts of both towers: first the visual ones, then all"
    learned = ("text", "image")
    settings: ClassVar[Settings] = {
        "M": Setting(4, "visual prompts", least=1),
        "N_CTX_V": Setting(2, "tokens of a visual prompt", least=1),
        "N_CTX": Setting(4, "tokens of a textual prompt without CTX_INIT", least=1),
        "CTX_INIT": Setting(
            True, "start textual prompts as four templates, in tokens as many as the first's words"
        ),
        "TEMPLATES": Setting("", "the data set whose templates these are; its own without"),
        "SHORT_TEMPLATE": Setting(
            "filled",
            "of too few words: placeholders in front; released: over the name's first token",
            one_of=("filled", "released"),
        ),
        "TRADE_OFF": Setting(False, "add the similarity of the mean features"),
        "MODEL_UPD": Setting(ALL, "which prompts are trained", one_of=(VISION_ALONE, ALL)),
        "STAGE1_SEED": Setting(
            0, "the seed whose first stage all others start from; 0: each its own", least=0
        ),
    }
    stages = (
        Stage({"MODEL_UPD": VISION_ALONE, "TRADE_OFF": True, "STAGE1_SEED": 0}, "STAGE1_SEED"),
        Stage({"MODEL_UPD": ALL, "TRADE_OFF": False}),
    )
    originals: ClassVar[Mapping[str, Original]] = {
        "TRAINER.PLOTPP.PRETRAIN_DIR": Original("MODEL.INIT_WEIGHTS", whole=True),
        "TRAINER.PLOTPP.MODEL_UPD": Original("MODEL_UPD", lambda value: value or ALL),
    }
    checkpoint_prefix = "prompt_learner."
    prompt_learner: MultiModePromptLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        s = check.settings
        if s.TEMPLATES:
            require_known(f"{check.path}.TEMPLATES", s.TEMPLATES, PLOTPP_TEMPLATES)
        if s.CTX_INIT and len(PLOTPP_USUAL) < s.N:
            check.refuse("N", "CTX_INIT has four templates; with False N is free")

    @property
    def prefixes(self) -> list[str]:
        return self.prompt_learner.prefixes

    def templates(self) -> tuple[str, ...]:
        """The words that start the textual prompts; data sets without some have the usual four."""
        named = self.cfg.TEMPLATES or self.dataset or ""
        found = PLOTPP_TEMPLATES.get(named, PLOTPP_USUAL)
        return found[: self.cfg.N] if self.cfg.CTX_INIT else ()

    def build_prompt_learner(self) -> MultiModePromptLearner:
        s, clip, templates = self.cfg, self.clip, self.templates()
        self.check_vit("M")
        n_ctx = len(templates[0].split()) if templates else s.N_CTX
        missing = [max(0, n_ctx - len(embed_words(clip, words))) for words in templates]
        filled = [
            " ".join([PLACEHOLDER] * count + [words])
            for count, words in zip(missing, templates, strict=True)
        ]
        learner = MultiModePromptLearner(
            clip, n_ctx, s.N, s.M, 1, False, filled, vision_tokens=s.N_CTX_V
        )
        self.sharing = s.SHORT_TEMPLATE == "filled"
        if not self.sharing:
            for i, words in enumerate(templates):  # what follows the words is EOS and padding
                ids = tokenize([words], clip.context_length)[0, 1 : 1 + n_ctx]
                learner.prefixes[i] = words
                learner.ctx.data[i] = clip.token_embedding(ids.to(clip.logit_scale.device))
        learner.ctx.requires_grad_(s.MODEL_UPD != VISION_ALONE)
        return learner

    def image_features(self, images: Tensor) -> Tensor:
        """`(B, M, d)`, not normalised."""
        return encode_image(self.clip, images, self.prompt_learner().vision, True)[:, :, 0]

    def pooled(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        images, texts = normalised(image), normalised(text)
        return images.transpose(0, 1), texts.transpose(0, 1)  # (M, B, d), (N, K, d)

    def transported(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the visual and of the textual prompts."""
        return normalised(image), normalised(text)

    def beside(self, image: Tensor, text: Tensor) -> Tensor | None:
        if not self.cfg.TRADE_OFF:
            return None
        return normalised(image.mean(1)) @ normalised(text.mean(1)).T
