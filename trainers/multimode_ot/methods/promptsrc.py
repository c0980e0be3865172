"""PromptSRC: deep prompts in both towers, held near frozen CLIP and averaged over epochs.

M. U. Khattak, S. T. Wasim, M. Naseer, S. Khan, M.-H. Yang, F. S. Khan, "Self-regulating Prompts:
Foundational Model Adaptation without Forgetting", ICCV 2023 (arXiv 2307.06948).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .. import regularisers
from ..config import Original, Setting, Settings
from .ivlp import IVLP
from .loading import LoadReport


class PromptSRC(IVLP):
    """IVLP with both towers' features, and the logits, kept near frozen CLIP's; what is saved and
    tested is the Gaussian average of the prompts of all epochs."""

    name = "PromptSRC"
    settings: ClassVar[Settings] = {
        "N_CTX_VISION": Setting(4, "tokens of a visual prompt"),
        "N_CTX_TEXT": Setting(4, "tokens of a textual prompt", least=1),
        "REGULARISERS": regularisers.listing("frozen_consistency", "weight_average"),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        "TRAINER.PROMPTSRC.TEXT_LOSS_WEIGHT": Original("FROZEN_CONSISTENCY.TEXT_WEIGHT"),
        "TRAINER.PROMPTSRC.IMAGE_LOSS_WEIGHT": Original("FROZEN_CONSISTENCY.IMAGE_WEIGHT"),
        "TRAINER.PROMPTSRC.GPA_MEAN": Original("WEIGHT_AVERAGE.MEAN"),
        "TRAINER.PROMPTSRC.GPA_STD": Original("WEIGHT_AVERAGE.STD"),
    }

    def remark_on(self, report: LoadReport) -> str:
        other = "" if not report.ignored else "it lacks PromptSRC's visual teacher, so it is IVLP's"
        return super().remark_on(report) or other
