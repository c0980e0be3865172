"""The demo's backbone: a small CLIP, pretrained on rendered glyphs (README.md beside this file)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["backbone", "clip_weights"]


def clip_weights() -> Path:
    """The gzipped OpenAI state dict of the demo's CLIP (ViT, 32 px, patch 4).

    To read it: `torch.load(io.BytesIO(gzip.open(path).read()), weights_only=True)`.
    """
    return Path(__file__).with_name("clip_demo.pt.gz")


def backbone() -> dict[str, Any]:
    """The weights' path, and what they do not tell: how they are run, and what they were shown."""
    return {
        "path": clip_weights(),
        "activation": "quick_gelu",
        "head_width": 64,
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
        "interpolation": "bicubic",
    }
