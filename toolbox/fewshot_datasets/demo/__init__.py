"""The demo's backbone: a small CLIP, pretrained on rendered glyphs (README.md beside this file)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["clip_weights"]


def clip_weights() -> Path:
    """The gzipped OpenAI state dict of the demo's CLIP (ViT, 32 px, patch 4).

    To read it: `torch.load(io.BytesIO(gzip.open(path).read()), weights_only=True)`.
    """
    return Path(__file__).with_name("clip_demo.pt.gz")
