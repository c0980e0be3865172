"""Small pictures of images, for a page that carries them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from .page import inline_image

SIDE = 96  # pixels of the longer side
_CLEAR = 48  # smaller pictures are kept as they are


def thumbnail(file: Path) -> str | None:
    """The address of a small copy of an image; None where there is no readable one, or one of more
    pixels than Pillow takes for harmless."""
    from PIL import Image, ImageOps

    stream = io.BytesIO()
    try:
        if not file.is_file():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(file)
        with opened as image:
            small = image.size[0] <= _CLEAR and image.size[1] <= _CLEAR
            image.draft("RGB", (SIDE, SIDE))
            shown = ImageOps.exif_transpose(image).convert("RGB")
            shown.thumbnail((SIDE, SIDE))
            shown.save(stream, "PNG" if small else "JPEG", quality=72, optimize=True)
    except Exception:  # what a damaged file raises has no common type
        return None
    return inline_image(stream.getvalue(), "png" if small else "jpeg")
