"""CLIP-LoRA: low-rank updates of the attention's projections in both towers.

M. Zanella, I. Ben Ayed, "Low-Rank Few-Shot Adaptation of Vision-Language Models", CVPR Workshops
2024 (arXiv 2405.18541).
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from ..backbone.additions import Additions
from ..backbone.templates import DEFAULT_TEMPLATE
from ..config import Check, Setting, Settings
from .adapted import AdaptedTowers
from .base import settings_path
from .low_rank_updates import PROJECTIONS, LowRankLearner, is_original, unpack
from .steps import Steps

# Blocks of a tower of 12; a shorter one has those of them that it has.
POSITIONS = {
    "all": range(12),
    "bottom": range(4),
    "mid": range(4, 8),
    "up": range(8, 12),
    "half-bottom": range(6),
    "half-up": range(6, 12),
    "top3": range(9, 12),
}
TOWERS = {"text": ("text",), "vision": ("vision",), "both": ("text", "vision")}
METADATA = {  # of the original's files, and the settings that they must equal
    "r": "RANK",
    "alpha": "ALPHA",
    "encoder": "ENCODER",
    "params": "PARAMS",
    "position": "POSITION",
}


def blocks_at(position: str, layers: int) -> range:
    """The updated ones of a tower's blocks; none where the tower has no such position."""
    half, twelve = layers // 2, POSITIONS[position]
    if layers <= 12:
        return range(min(twelve.start, layers), min(twelve.stop, layers))
    deeper = {"all": range(layers), "half-bottom": range(half), "half-up": range(half, layers)}
    return deeper.get(position, range(0))


class CLIPLoRA(AdaptedTowers):
    """Low-rank updates of frozen projections, the same settings for all data sets and shots."""

    name = "CLIPLoRA"
    trains = "low-rank updates of attention projections"
    settings: ClassVar[Settings] = {
        "ENCODER": Setting("both", "the updated towers", one_of=tuple(TOWERS)),
        "POSITION": Setting("all", "the updated blocks", one_of=tuple(POSITIONS)),
        "PARAMS": Setting(("q", "k", "v"), "the updated projections, of q, k, v and o"),
        "RANK": Setting(2, "rank of an update", least=1),
        "ALPHA": Setting(1.0, "an update is scaled by ALPHA / sqrt(RANK)", above=0),
        "DROPOUT": Setting(0.25, "share of an update's inputs to drop", least=0, below=1),
        "ITERATIONS_PER_SHOT": Setting(500, "steps of the training, a shot", least=1),
    }
    steps = Steps(by_iteration=True, floor=1e-6, keep_last=True, per_shot="ITERATIONS_PER_SHOT")
    words = DEFAULT_TEMPLATE.removesuffix(" {}.")
    prompt_learner: LowRankLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        listed = check.settings.PARAMS
        if not listed or len(set(listed)) != len(listed) or not set(listed) <= set(PROJECTIONS):
            check.refuse("PARAMS", "must be a list of some of q, k, v, o, such as ('q', 'v')")

    def build_prompt_learner(self) -> LowRankLearner:
        s, clip, check = self.cfg, self.clip, Check(self.cfg, settings_path(self.name))
        if "vision" in TOWERS[s.ENCODER] and not clip.is_vit:
            check.refuse("ENCODER", f"{clip.name} is a ResNet, of which only 'text' can be updated")
        layers = {"text": clip.text_layers, "vision": clip.vision_layers}
        widths = {"text": clip.text_width, "vision": clip.vision_width}
        blocks = {}
        for tower in TOWERS[s.ENCODER]:
            check.at_most("RANK", widths[tower], f"the {tower} tower of {clip.name} is so wide")
            blocks[tower] = blocks_at(s.POSITION, layers[tower])
            if not blocks[tower]:
                there = [p for p in POSITIONS if blocks_at(p, layers[tower])]
                check.refuse(
                    "POSITION",
                    f"the {tower} tower of {clip.name} has {layers[tower]} blocks, and none there: "
                    f"it has {', '.join(there)}",
                )
        return LowRankLearner(blocks, widths, s.PARAMS, s.RANK)

    def additions(self) -> tuple[Additions, Additions]:
        s, learner, clip = self.cfg, self.prompt_learner, self.clip
        dropout = s.DROPOUT if learner.training else 0.0
        scale = s.ALPHA / s.RANK**0.5
        return (
            learner.additions("text", clip.text_layers, scale, dropout),
            learner.additions("vision", clip.vision_layers, scale, dropout),
        )

    def class_features(self) -> Tensor:
        """`(K, d)`, normalised; computed once if the text tower is not updated."""
        frozen = "text" not in TOWERS[self.cfg.ENCODER]
        return self.frozen_text((DEFAULT_TEMPLATE,)) if frozen else super().class_features()

    def unpacked(self, state: Any) -> Any:
        """Also raises `ValueError` for a file that was trained with other settings."""
        if not is_original(state):
            return state
        for key, setting in METADATA.items():
            there, here = dict(state["metadata"]).get(key), self.cfg[setting]
            if (sorted(there or ()) != sorted(here)) if key == "params" else there != here:
                raise ValueError(
                    f"metadata {key} is {there!r}, but TRAINER.CLIPLORA.{setting} is {here!r}: use "
                    "the settings it was trained with"
                )
        return unpack(self.prompt_learner, state["weights"])
