"""The picture that maps are drawn on: what the network saw, the rest dimmed, its lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from .overlay import Rectangle

MOST = 480  # pixels of the longer edge; larger pictures are made smaller to be drawn
SKETCH = 320  # likewise, of the lines
MIDDLE, CONTRAST = 128, 0.25  # below a map: pale, or black and white would shift its colours
DARKEST = 165  # opacity of the lines, of 255


@dataclass(frozen=True)
class Seen:
    """What a map is drawn on.

    Attributes:
        original: the picture, 8-bit RGB.
        rectangle: the part of it that the network saw.
        grid: rows and columns of patches that divide that part.
    """

    original: Image.Image
    rectangle: Rectangle
    grid: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the original."""
        return self.original.size

    @cached_property
    def picture(self) -> np.ndarray:
        """`(h, w, 3)` uint8, dimmed where the network did not see it."""
        small = self._of_size(min(1.0, MOST / max(self.size)))
        return self._dimmed(np.asarray(small, float)).astype(np.uint8)

    @cached_property
    def pale(self) -> np.ndarray:
        """The same in grey and with little contrast, to lie below a map."""
        small = self._of_size(min(1.0, MOST / max(self.size))).convert("L").convert("RGB")
        pale = MIDDLE + CONTRAST * (np.asarray(small, float) - MIDDLE)
        return self._dimmed(pale).astype(np.uint8)

    @cached_property
    def lines(self) -> np.ndarray:
        """Where the picture's lightness changes fast: `(h, w, 4)` uint8, black of more or less
        opacity, to lie above a map. None outside of what was seen."""
        grey = np.asarray(self._of_size(SKETCH / max(self.size)).convert("L"), float)
        steep = np.hypot(*np.gradient(grey))
        strength = np.clip(steep / max(np.quantile(steep, 0.99), 12.0), 0, 1) ** 1.2
        lines = np.zeros((*grey.shape, 4), np.uint8)
        lines[..., 3] = DARKEST * strength * self._inside(grey.shape)
        return lines

    def _of_size(self, scale: float) -> Image.Image:
        width, height = (max(2, round(edge * scale)) for edge in self.size)
        way = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
        return self.original.resize((width, height), way)

    def _inside(self, shape: tuple[int, ...]) -> np.ndarray:
        """Which pixels of an array that shows the whole picture were seen, by their centres."""
        x = (np.arange(shape[1]) + 0.5) * self.size[0] / shape[1]
        y = (np.arange(shape[0])[:, None] + 0.5) * self.size[1] / shape[0]
        left, top, right, bottom = self.rectangle
        return (x > left) & (x < right) & (y > top) & (y < bottom)

    def _dimmed(self, picture: np.ndarray) -> np.ndarray:
        inside = self._inside(picture.shape)[..., None]
        return np.where(inside, picture, 0.2 * picture + 0.8 * MIDDLE)
