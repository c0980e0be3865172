"""VPT: visual prompts only; the text is fixed.

After M. Jia et al., "Visual Prompt Tuning", ECCV 2022, as the baseline "deep vision prompting" of
M. U. Khattak et al., "MaPLe: Multi-modal Prompt Learning", CVPR 2023 (arXiv 2210.03117).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..config import Check
from ..prompts import InBlockPrompts, Prompts
from ..templates import DEFAULT_TEMPLATE
from .zeroshot import ZeroshotCLIP

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
    trains = True
    prompt_learner: VisualPromptLearner
    text_features: Tensor | None  # (K, d)

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        check.at_least("N_CTX_VISION", 1)
        check.at_least("PROMPT_DEPTH_VISION", 1)
        if check.settings.CTX_INIT.replace("_", " ") != WORDS:
            check.refuse("CTX_INIT", f"the text of VPT is fixed: {WORDS!r}")

    def build_prompt_learner(self) -> VisualPromptLearner:
        s = self.settings
        self.check_depth("PROMPT_DEPTH_VISION", text=False, vision=True)
        return VisualPromptLearner(s.PROMPT_DEPTH_VISION, (s.N_CTX_VISION, self.clip.vision_width))

    def prompt_keys(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        return {k: k.removeprefix("module.") for k in state}

    def templates(self) -> list[str]:
        return [DEFAULT_TEMPLATE]

    def set_classes(self, classnames: Sequence[str]) -> None:
        super().set_classes(classnames)
        self.register_buffer("text_features", None, persistent=False)

    def class_features(self) -> Tensor:
        """`(K, d)`, computed at the first call: training would repeat it at every step."""
        if self.text_features is None:
            # Without autocast, so that training and evaluation have the same text.
            plain = torch.autocast(self.device.type, enabled=False)
            with plain, torch.inference_mode(False), torch.no_grad():
                self.text_features = super().class_features()
        return self.text_features
