"""The sizes of OpenAI's models, known before their archives are here."""

from __future__ import annotations

from .architecture import Shape


def _text(width: int) -> dict[str, int]:
    return {"text_width": width, "text_layers": 12, "text_hidden": 4 * width}


def _resnet(embed: int, pixels: int, width: int, layers: tuple[int, ...], text: int) -> Shape:
    return Shape(embed, pixels, 0, width, layers, 0, **_text(text))


def _vit(embed: int, pixels: int, patch: int, width: int, layers: int, text: int) -> Shape:
    return Shape(embed, pixels, patch, width, layers, 4 * width, **_text(text))


OPENAI_SHAPES = {
    "RN50": _resnet(1024, 224, 64, (3, 4, 6, 3), text=512),
    "RN101": _resnet(512, 224, 64, (3, 4, 23, 3), text=512),
    "RN50x4": _resnet(640, 288, 80, (4, 6, 10, 6), text=640),
    "RN50x16": _resnet(768, 384, 96, (6, 8, 18, 8), text=768),
    "RN50x64": _resnet(1024, 448, 128, (3, 15, 36, 10), text=1024),
    "ViT-B/32": _vit(512, 224, 32, 768, 12, text=512),
    "ViT-B/16": _vit(512, 224, 16, 768, 12, text=512),
    "ViT-L/14": _vit(768, 224, 14, 1024, 24, text=768),
    "ViT-L/14@336px": _vit(768, 336, 14, 1024, 24, text=768),
}
