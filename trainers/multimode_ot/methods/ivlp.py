"""IVLP: deep prompts in both towers, independent of each other.

The baseline "independent vision-language prompting" of M. U. Khattak et al., "MaPLe: Multi-modal
Prompt Learning", CVPR 2023 (arXiv 2210.03117). With `PROMPT_DEPTH_VISION` 0 it is that paper's
"deep language prompting".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from ..backbone.clip import CLIP
from ..config import Check, Setting, Settings
from .loading import LoadReport
from .prompts import ContextLearner, InBlockPrompts, Prompts, initial_sentence
from .single_mode import LearnedContext

VISUAL_TEACHER = "prompt_learner.ZS_image_encoder."  # in PromptSRC's files, otherwise as IVLP's


class IndependentPromptLearner(nn.Module):
    """The parameters under the original's names, which has most of them inside the towers."""

    def __init__(
        self,
        clip: CLIP,
        text: ContextLearner,
        text_depth: int,
        vision_tokens: int,
        vision_depth: int,
    ):
        super().__init__()
        self.prompt_learner = text
        text_shape = (text.ctx.shape[0], clip.text_width)
        self.text_encoder = InBlockPrompts(text_depth, text_shape, input_layer=False)
        if vision_depth:
            vision_shape = (vision_tokens, clip.vision_width)
            self.image_encoder = InBlockPrompts(vision_depth, vision_shape, input_layer=True)

    def forward(self) -> Prompts:
        vision = self.image_encoder() if hasattr(self, "image_encoder") else []
        return Prompts([self.prompt_learner.ctx, *self.text_encoder()], vision)


class IVLP(LearnedContext):
    """Independent prompts in both towers, each with its own depth."""

    name = "IVLP"
    trains = "prompts of both towers, independent of each other"
    learned = ("text", "image")
    settings: ClassVar[Settings] = {
        "N_CTX_VISION": Setting(2, "tokens of a visual prompt"),
        "N_CTX_TEXT": Setting(2, "tokens of a textual prompt", least=1),
        "CTX_INIT": Setting("a photo of a", "words that start the context of at most 4 tokens"),
        "PROMPT_DEPTH_VISION": Setting(9, "prompted layers of the image tower; 0: none", least=0),
        "PROMPT_DEPTH_TEXT": Setting(9, "prompted layers of the text tower", least=1),
    }
    checkpoint_name = "VLPromptLearner"
    checkpoint_leftovers = (VISUAL_TEACHER,)
    prompt_learner: IndependentPromptLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.PROMPT_DEPTH_VISION:
            check.at_least("N_CTX_VISION", 1)

    def build_prompt_learner(self) -> IndependentPromptLearner:
        s, clip = self.cfg, self.clip
        self.check_depth("PROMPT_DEPTH_TEXT", text=True, vision=False)
        self.check_depth("PROMPT_DEPTH_VISION", text=False, vision=s.PROMPT_DEPTH_VISION > 0)
        return IndependentPromptLearner(
            clip,
            ContextLearner(clip, s.N_CTX_TEXT, initial_sentence(s.CTX_INIT, s.N_CTX_TEXT)),
            s.PROMPT_DEPTH_TEXT,
            s.N_CTX_VISION,
            s.PROMPT_DEPTH_VISION,
        )

    @property
    def prefix(self) -> str:
        return self.prompt_learner.prompt_learner.prefix

    def remark_on(self, report: LoadReport) -> str:
        if not any(VISUAL_TEACHER in key for key in report.ignored):
            return ""
        return (
            "of PromptSRC's original, which averages frozen weights too, in half precision; the "
            "prompts alone are taken, with CLIP's own weights, so its logits differ slightly"
        )

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        return {k: k.removeprefix("module.") for k in state}
