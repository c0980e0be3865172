"""MaPLe: deep text prompts, and visual prompts that are linear maps of them.

M. U. Khattak, H. Rasheed, M. Maaz, S. Khan, F. S. Khan, "MaPLe: Multi-modal Prompt Learning",
CVPR 2023 (arXiv 2210.03117).
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..backbone.clip import CLIP
from ..config import Setting, Settings
from .base import LoadReport
from .prompts import ContextLearner, Prompts, coupling, deep_prompts, initial_sentence
from .single_mode import LearnedContext


class CoupledPromptLearner(ContextLearner):
    """Text prompts of every layer, and one map a layer to the visual prompts.

    Args:
        depth: prompted layers, the input's included.
    """

    def __init__(self, clip: CLIP, n_ctx: int, sentence: str, depth: int):
        super().__init__(clip, n_ctx, sentence)
        self.compound_prompts_text = deep_prompts(depth, n_ctx, clip.text_width)
        self.proj, self.compound_prompt_projections = coupling(clip, depth)

    def forward(self) -> Prompts:
        text = [self.ctx, *self.compound_prompts_text]
        maps = [self.proj, *self.compound_prompt_projections]
        return Prompts(text, [f(p) for f, p in zip(maps, text, strict=True)])


class MaPLe(LearnedContext):
    """Coupled prompts in both towers."""

    name = "MaPLe"
    trains = "prompts of both towers, the visual ones as maps of the textual"
    learned = ("text", "image")
    settings: ClassVar[Settings] = {
        "N_CTX": Setting(2, "tokens of the prompt of a layer", least=1),
        "CTX_INIT": Setting("a photo of a", "words that start the context of at most 4 tokens"),
        "PROMPT_DEPTH": Setting(9, "prompted layers of both towers", least=1),
    }
    checkpoint_name = "MultiModalPromptLearner"
    checkpoint_prefix = "prompt_learner."
    prompt_learner: Any  # a CoupledPromptLearner, or one with more beside it

    def remark_on(self, report: LoadReport) -> str:
        if any("adapter_image." in key for key in report.unexpected):
            return f"these are prompts of CoPrompt, without its adapters {self.name} is another"
        return ""

    def build_prompt_learner(self) -> Any:
        s = self.cfg
        self.check_depth("PROMPT_DEPTH", text=True, vision=True)
        sentence = initial_sentence(s.CTX_INIT, s.N_CTX)
        return CoupledPromptLearner(self.clip, s.N_CTX, sentence, s.PROMPT_DEPTH)
