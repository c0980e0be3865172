"""ALIGN: multi-mode prompts, aligned with an image by hierarchical transport.

D. Wang, M. Li, X. Liu, M. Xu, B. Chen, H. Zhang, "Tuning Multi-mode Token-level Prompt Alignment
across Modalities", NeurIPS 2023 (arXiv 2309.13847).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..backbone.class_tokens import prompt_words
from ..backbone.encoders import encode_image, normalised, project_text
from ..backbone.packed_text import PackedClasses
from ..config import Check, Setting, Settings
from ..transport import (
    ConditionalTransport,
    ExactTransport,
    Features,
    HierarchicalTransport,
    ReleasedTransport,
    Sinkhorn,
)
from ..transport.hierarchical import Head
from ..transport.plans import Plans, plans_of_head
from .base import LoadReport, PromptedCLIP, settings_path
from .prompts import TEXT_MEMORY, MultiModePromptLearner, by_mode


class MultiModeOT(PromptedCLIP):
    """Multi-mode token-level prompt alignment with every choice open."""

    name = "MultiModeOT"
    trains = "several prompts of both towers, by default the visual ones as maps of the textual"
    learned = ("text", "image")
    batch_dependence = "Sinkhorn iterates until its tolerance is met for the whole batch"
    settings: ClassVar[Settings] = {
        "N_CTX": Setting(2, "learned tokens of one prompt", least=1),
        "CTX_INIT": Setting(
            "a photo of a", "words of the first prompt; further sentences after a tab"
        ),
        "TEXT_PROMPT_NUMBER": Setting(4, "textual prompts (modes) N", least=1),
        "VISION_PROMPT_NUMBER": Setting(
            4, "visual prompts (modes) M; 0: none, as always on a ResNet", least=0
        ),
        "PROMPT_DEPTH": Setting(9, "prompted layers of both towers", least=1),
        "COUPLED": Setting(True, "visual prompts are linear maps of the textual ones; needs M = N"),
        "HEAD": Setting(
            "paper", "released: what the authors' program computes", one_of=("paper", "released")
        ),
        "ALIGNMENT": Setting(
            "hierarchical",
            "levels that are aligned; mean: a uniform prompt-level plan",
            one_of=("hierarchical", "prompt", "token", "mean"),
        ),
        "TRANSPORT": Setting(
            "sinkhorn",
            "ct: conditional, with a learned temperature; emd: exact, evaluation only",
            one_of=("sinkhorn", "ct", "emd"),
        ),
        "BETA": Setting(1.0, "weight of the token level", least=0),
        "EPSILON": Setting(0.1, "entropic regularisation; ct's first temperature", above=0),
        "MAX_ITERATIONS": Setting(100, "of Sinkhorn", least=1),
        "TOLERANCE": Setting(
            1e-3, "row-marginal violation at which Sinkhorn stops (HEAD paper)", least=0
        ),
        **TEXT_MEMORY,
    }
    checkpoint_name = "MultiModalPromptLearner"
    checkpoint_prefix = "prompt_learner."
    prompt_learner: MultiModePromptLearner
    classes: PackedClasses

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        s = check.settings
        if s.COUPLED and s.VISION_PROMPT_NUMBER not in (0, s.TEXT_PROMPT_NUMBER):
            check.refuse(
                "VISION_PROMPT_NUMBER",
                f"coupled visual prompts are maps of the {s.TEXT_PROMPT_NUMBER} text prompts, so "
                "their numbers must agree; set COUPLED False for independent ones",
            )
        if s.HEAD == "released":
            if s.ALIGNMENT not in ("hierarchical", "prompt"):
                check.refuse("ALIGNMENT", "HEAD released knows 'hierarchical' and 'prompt'")
            if s.TRANSPORT != "sinkhorn":
                check.refuse("TRANSPORT", "HEAD released knows 'sinkhorn'")
            if s.BETA != 1:
                check.refuse(
                    "BETA", "HEAD released has no weight; ALIGNMENT 'prompt' is without it"
                )

    def build_prompt_learner(self) -> nn.Module:
        s, clip = self.cfg, self.clip
        self.check_depth(
            "PROMPT_DEPTH", text=True, vision=clip.is_vit and s.VISION_PROMPT_NUMBER > 0
        )
        return MultiModePromptLearner(
            clip,
            n_ctx=s.N_CTX,
            text_prompts=s.TEXT_PROMPT_NUMBER,
            vision_prompts=s.VISION_PROMPT_NUMBER if clip.is_vit else 0,
            depth=s.PROMPT_DEPTH,
            coupled=s.COUPLED,
            init_sentences=[words for words in s.CTX_INIT.replace("_", " ").split("\t") if words],
            temperature=s.EPSILON if s.TRANSPORT == "ct" else None,
        )

    def set_classes(self, classnames: Sequence[str]) -> None:
        prefixes, released = self.prompt_learner.prefixes, self.cfg.HEAD == "released"
        classes = PackedClasses(self.clip, classnames, prefixes, released)
        super().set_classes(classnames)
        self.classes = classes

    def learned_words(self) -> dict[str, Tensor]:
        return by_mode(self.prompt_learner.ctx)

    def remark_on(self, report: LoadReport) -> str:
        # Files of ours hold prompts alone; the released program saves the whole model.
        if report.ignored and self.cfg.HEAD == "paper":
            return (
                "these prompts come from the released program: its numbers were made with "
                f"{settings_path(self.name)}.HEAD 'released', and this is HEAD 'paper'"
            )
        return ""

    def head(self) -> Head:
        """The transport that the settings describe, with the current parameters.

        Vouched for, because features are normalised, and the forward pass looks at its logits.
        """
        s = self.cfg
        if s.HEAD == "released":
            return ReleasedTransport(
                s.EPSILON,
                s.MAX_ITERATIONS,
                hierarchical=s.ALIGNMENT == "hierarchical",
                vouched=True,
            )
        transport: Sinkhorn | ConditionalTransport | ExactTransport
        if s.TRANSPORT == "ct":
            transport = ConditionalTransport(self.prompt_learner.log_phi.exp())
        elif s.TRANSPORT == "emd":
            if torch.is_grad_enabled() and self.prompt_learner.training:
                raise ValueError("TRANSPORT 'emd' is for evaluation; train with 'sinkhorn' or 'ct'")
            transport = ExactTransport()
        else:
            transport = Sinkhorn(s.EPSILON, s.MAX_ITERATIONS, s.TOLERANCE)
        return HierarchicalTransport(transport, s.BETA, s.ALIGNMENT, vouched=True)

    @property
    def needs_tokens(self) -> bool:
        return self.every_output or self.head().needs_tokens

    def class_features(self) -> Features:
        context, *deep = self.prompt_learner().text  # each (N, b, w)
        classes = self.classes
        outputs = classes(self.clip, context, deep, self.cfg.MEMORY_MB * 2**20)
        if not self.needs_tokens:
            return Features(normalised(project_text(self.clip, outputs[classes.eos_rows])))
        outputs = normalised(project_text(self.clip, outputs))
        pooled, tokens = outputs[classes.eos_rows], outputs[classes.token_rows]
        return Features(pooled, tokens, classes.token_mask)

    def image_features(self, images: Tensor) -> Features:
        local = self.needs_tokens
        outputs = encode_image(
            self.clip, images, self.prompt_learner().vision, pooled_only=not local
        )
        outputs = normalised(outputs)
        return Features(outputs[:, :, 0], outputs[:, :, 1:] if local else None)

    def depends_on_batch(self) -> str:
        no_sinkhorn = self.cfg.ALIGNMENT == "mean" and not self.head().needs_tokens
        no_sinkhorn |= self.cfg.TRANSPORT != "sinkhorn"
        return "" if no_sinkhorn else self.batch_dependence

    def pooled(self, image: Features, text: Features) -> tuple[Tensor, Tensor]:
        return image.pooled.transpose(0, 1), text.pooled.transpose(0, 1)  # (M, B, d), (N, K, d)

    def logits(self, image: Features, text: Features) -> Tensor:
        result = self.head()(image, text)
        self.unconverged += result.unconverged
        return self.logit_scale * result.similarity

    def plans(self, image: Features, text: Features) -> Plans:
        prompts = self.cfg.N_CTX if self.clip.is_vit and self.cfg.VISION_PROMPT_NUMBER else 0
        patches = 0 if image.tokens is None else image.tokens.shape[2] - prompts
        return plans_of_head(self.head(), image, text, patches)

    def columns(self, class_index: int) -> list[list[str]]:
        name, s = self.classnames[class_index], self.cfg
        prompts = [
            prompt_words(prefix, name, s.N_CTX, self.clip.context_length)
            for prefix in self.prompt_learner.prefixes
        ]
        if s.HEAD == "released":  # by the first prompt's EOS, as `PackedClasses` has it
            return [words[: prompts[0][1] - 1] for words, _ in prompts]
        return [words[1 : eos - 1] for words, eos in prompts]
