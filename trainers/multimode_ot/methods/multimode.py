"""ALIGN: multi-mode prompts, aligned with an image by hierarchical transport.

D. Wang, M. Li, X. Liu, M. Xu, B. Chen, H. Zhang, "Tuning Multi-mode Token-level Prompt Alignment
across Modalities", NeurIPS 2023 (arXiv 2309.13847).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..config import Check
from ..encoders import encode_image, project_text
from ..model import LoadReport, PromptedCLIP, normalised
from ..packed_text import PackedClasses
from ..prompts import MultiModePromptLearner
from ..transport import (
    ConditionalTransport,
    ExactTransport,
    Features,
    HierarchicalTransport,
    ReleasedTransport,
    Sinkhorn,
)
from ..transport.hierarchical import Head


class MultiModeOT(PromptedCLIP):
    """Multi-mode token-level prompt alignment with every choice open."""

    name = "MultiModeOT"
    checkpoint_name = "MultiModalPromptLearner"
    checkpoint_prefix = "prompt_learner."
    prompt_learner: MultiModePromptLearner
    classes: PackedClasses

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        check.one_of("HEAD", ("paper", "released"))
        check.one_of("ALIGNMENT", ("hierarchical", "prompt", "token", "mean"))
        check.one_of("TRANSPORT", ("sinkhorn", "ct", "emd"))
        for key in ("N_CTX", "TEXT_PROMPT_NUMBER", "PROMPT_DEPTH", "MAX_ITERATIONS", "MEMORY_MB"):
            check.at_least(key, 1)
        for key in ("VISION_PROMPT_NUMBER", "BETA", "TOLERANCE"):
            check.at_least(key, 0)
        check.positive("EPSILON")
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
        s, clip = self.settings, self.clip
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
        super().set_classes(classnames)
        prefixes, released = self.prompt_learner.prefixes, self.settings.HEAD == "released"
        self.classes = PackedClasses(self.clip, classnames, prefixes, released)

    def remark_on(self, report: LoadReport) -> str:
        # Files of ours hold prompts alone; the released program saves the whole model.
        if report.ignored and self.settings.HEAD == "paper":
            return (
                "these prompts come from the released program: its numbers were made with "
                f"TRAINER.{self.name.upper()}.HEAD 'released', and this is HEAD 'paper'"
            )
        return ""

    def head(self) -> Head:
        """The transport that the settings describe, with the current parameters.

        Vouched for, because features are normalised, and the forward pass looks at its logits.
        """
        s = self.settings
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

    def class_features(self) -> Features:
        context, *deep = self.prompt_learner().text  # each (N, b, w)
        classes = self.classes
        outputs = classes(self.clip, context, deep, self.settings.MEMORY_MB * 2**20)
        if not self.head().needs_tokens:
            return Features(normalised(project_text(self.clip, outputs[classes.eos_rows])))
        outputs = normalised(project_text(self.clip, outputs))
        pooled, tokens = outputs[classes.eos_rows], outputs[classes.token_rows]
        return Features(pooled, tokens, classes.token_mask)

    def image_features(self, images: Tensor) -> Features:
        local = self.head().needs_tokens
        outputs = encode_image(
            self.clip, images, self.prompt_learner().vision, pooled_only=not local
        )
        outputs = normalised(outputs)
        return Features(outputs[:, :, 0], outputs[:, :, 1:] if local else None)

    def logits(self, image: Features, text: Features) -> Tensor:
        result = self.head()(image, text)
        self.unconverged += result.unconverged
        return self.logit_scale * result.similarity


class ALIGN(MultiModeOT):
    """The paper's preset: sizes, precision and the head (paper or released) are open, the method
    is not, so that a row called ALIGN is ALIGN."""

    name = "ALIGN"

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        for key, value in {
            "ALIGNMENT": "hierarchical",
            "TRANSPORT": "sinkhorn",
            "COUPLED": True,
        }.items():
            if check.settings[key] != value:
                check.refuse(
                    key, f"ALIGN has {value!r}; use --trainer MultiModeOT for this ablation"
                )
        if not check.settings.BETA > 0:
            check.refuse("BETA", "ALIGN has a token level; use --trainer MultiModeOT without it")
