"""VPT: visual prompts only; the text is fixed.

After M. Jia et al., "Visual Prompt Tuning", ECCV 2022, as the baseline "deep vision prompting" of
M. U. Khattak et al., "MaPLe: Multi-modal Prompt Learning", CVPR 2023 (arXiv 2210.03117).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from ..backbone.templates import DEFAULT_TEMPLATE
from ..config import Check, Setting, Settings
from .prompts import InBlockPrompts, Prompts
from .zeroshot_clip import ZeroshotCLIP

WORDS = DEFAULT_TEMPLATE.removesuffix(" {}.")


class VisualPromptLearner(nn.Module):
    """The parameters under the original's names, which has them inside the image tower."""

    def __init__(self, depth: int, shape: tuple[int, int]):
        super().__init__()
        self.image_encoder = InBlockPrompts(depth, shape, input_layer=True)

    def forward(self) -> Prompts:
        return Prompts([], self.image_encoder())


class VPT(ZeroshotCLIP):
    """Deep visual prompts, against the text features of one template for every data set."""

    name = "VPT"
    version = 2  # 1 encoded its text in half precision where PREC says so
    trains = "prompts of the image tower"
    learned = ("image",)
    settings: ClassVar[Settings] = {
        "N_CTX_VISION": Setting(2, "tokens of a visual prompt", least=1),
        "CTX_INIT": Setting(WORDS, "the fixed text's words: no others are allowed"),
        "PROMPT_DEPTH_VISION": Setting(1, "prompted layers of the image tower", least=1),
    }
    prompt_learner: VisualPromptLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        if check.settings.CTX_INIT.replace("_", " ") != WORDS:
            check.refuse("CTX_INIT", f"the text of VPT is fixed: {WORDS!r}")

    def build_prompt_learner(self) -> VisualPromptLearner:
        s = self.cfg
        self.check_depth("PROMPT_DEPTH_VISION", text=False, vision=True)
        return VisualPromptLearner(s.PROMPT_DEPTH_VISION, (s.N_CTX_VISION, self.clip.vision_width))

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        return {k: k.removeprefix("module.") for k in state}

    def templates(self) -> tuple[str, ...]:
        return (DEFAULT_TEMPLATE,)

    def class_features(self) -> Tensor:
        """`(K, d)`, computed at the first call: training would repeat it at every step."""
        return self.frozen_text(self.templates())
