"""ALIGN: the paper's preset of `MultiModeOT`.

D. Wang, M. Li, X. Liu, M. Xu, B. Chen, H. Zhang, "Tuning Multi-mode Token-level Prompt Alignment
across Modalities", NeurIPS 2023 (arXiv 2309.13847).
"""

from __future__ import annotations

from ..config import Check
from .multimode_ot import MultiModeOT


class ALIGN(MultiModeOT):
    """The paper's preset of MultiModeOT: sizes, precision and the head are open, the method is not,
    so that a row called ALIGN is ALIGN."""

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
        if check.settings.REGULARISERS:
            check.refuse(
                "REGULARISERS", "ALIGN is the paper's method; use --trainer MultiModeOT with them"
            )
        if not check.settings.BETA > 0:
            check.refuse("BETA", "ALIGN has a token level; use --trainer MultiModeOT without it")
