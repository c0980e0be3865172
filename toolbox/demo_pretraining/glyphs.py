"""Glyphs of the fonts that matplotlib carries, distorted until they resemble handwriting.

Nothing here is fitted to the digit scans. What is known about them is how they were made (written
with one pen, cut out, reduced to 8 x 8 grey levels), and each step has its counterpart below: a
glyph is reduced to its centre line and redrawn with a pen of random width, bent, scaled into the
frame and sampled at a low resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from captions import GLYPHS, INKS, Drawing
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# All fonts of matplotlib with Latin letters and digits.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10", "cmmi10"),
)
CANVAS = 64  # pixels a side while drawing
GLYPH = 48  # height of an undistorted glyph on the canvas
IMAGE = 32  # pixels a side of the finished image


def load_glyphs() -> Tensor:
    """Every glyph in every font, filled and as its centre line: `(2, fonts, glyphs, 64, 64)`."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    filled = np.stack(
        [
            np.stack([_draw(ImageFont.truetype(folder / f"{font}.ttf", 96), c) for c in GLYPHS])
            for font in FONTS
        ]
    )
    return torch.from_numpy(np.stack([filled, _thin(filled > 0.5).astype(np.float32)]))


def _draw(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """One glyph, `GLYPH` pixels high, its width in proportion, centred: `(64, 64)` in [0, 1]."""
    page = Image.new("L", (256, 256))
    ImageDraw.Draw(page).text((64, 64), character, font=font, fill=255)
    ink = page.crop(page.getbbox())
    width = min(CANVAS - 4, max(1, round(ink.width * GLYPH / ink.height)))
    ink = ink.resize((width, GLYPH), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (CANVAS, CANVAS))
    canvas.paste(ink, ((CANVAS - width) // 2, (CANVAS - GLYPH) // 2))
    return np.asarray(canvas, dtype=np.float32) / 255


def _thin(ink: np.ndarray) -> np.ndarray:
    """Centre lines of `(..., H, W)` boolean images (Zhang and Suen, 1984)."""
    ink = ink.copy()
    # Neighbours clockwise from north; images end in empty margins, so rolling is safe.
    around = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    while True:
        before = ink.sum()
        for corner in (0, 1):
            p = [np.roll(ink, (-dy, -dx), axis=(-2, -1)) for dy, dx in around]
            count = sum(q.astype(np.int8) for q in p)
            rises = sum(~p[i] & p[(i + 1) % 8] for i in range(8))
            north, east, south, west = p[0], p[2], p[4], p[6]
            if corner == 0:
                open_side = ~(north & east & south) & ~(east & south & west)
            else:
                open_side = ~(north & east & west) & ~(north & south & west)
            ink &= ~((count >= 2) & (count <= 6) & (rises == 1) & open_side)
        if ink.sum() == before:
            return ink


_EASED = ("rotate", "slant", "stretch", "bend", "centre_line", "coarse", "inverted", "coloured")


@dataclass(frozen=True)
class Renderer:
    """Draws batches of distorted glyphs.

    `digits` is the share of digits among the images; the other strengths are the largest values
    of uniform distributions, except `bend`, the standard deviation of the elastic displacement.
    """

    glyphs: Tensor
    digits: float = 0.5
    rotate: float = 0.25  # radians
    slant: float = 0.5
    stretch: float = 0.35  # in the logarithm of width / height
    bend: float = 0.10  # of the half-width of the canvas
    centre_line: float = 0.6  # share of glyphs redrawn from their centre line
    coarse: float = 0.6  # share of images sampled at 8 x 8
    inverted: float = 0.35  # share of grey images with dark ink on light paper
    coloured: float = 0.25  # share of images with any ink
    noise: float = 0.06  # largest standard deviation, in grey levels of [0, 1]

    def eased(self, difficulty: float) -> Renderer:
        """A renderer with weaker distortions: 0 for none of them, 1 for this one."""
        shares = {name: getattr(self, name) * difficulty for name in _EASED}
        return replace(self, **shares)

    def __call__(self, size: int, rng: torch.Generator) -> tuple[Tensor, list[Drawing]]:
        """`size` images `(B, 3, 32, 32)` in [0, 1] and what is true of each."""

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(size, generator=rng) * (high - low) + low

        is_digit = uniform(0, 1) < self.digits
        labels = torch.where(
            is_digit,
            torch.randint(10, (size,), generator=rng),
            torch.randint(10, len(GLYPHS), (size,), generator=rng),
        )
        fonts = torch.randint(len(FONTS), (size,), generator=rng)
        lines = uniform(0, 1) < self.centre_line
        ink = self.glyphs[lines.long(), fonts, labels][:, None]  # (B, 1, 64, 64)

        # A centre line needs a pen; a filled glyph is made somewhat thinner or thicker.
        pen = torch.where(lines, uniform(1.0, 6.5), uniform(-1.5, 2.5)).round().long()
        ink = _pen(ink, pen)
        ink = F.grid_sample(ink, self._warp(size, uniform, rng), align_corners=False)
        spread = ink.mean((1, 2, 3))  # share of the canvas that is ink
        blur = torch.randint(4, (size,), generator=rng)
        ink = _blur(ink, blur)

        sides = torch.tensor([8, 12, 16, 24, 32])
        coarse = uniform(0, 1) < self.coarse
        side = torch.where(coarse, 8, sides[torch.randint(5, (size,), generator=rng)])
        ink = _sample_at(ink, side)

        contrast = uniform(0.9, 1.5)[:, None, None, None]  # above 1: the pen saturates
        ink = (ink * contrast).clamp(0, 1)
        images, colours = self._colour(ink, uniform, rng)
        noise = torch.randn(images.shape[0], 1, IMAGE, IMAGE, generator=rng)
        images = (images + noise * uniform(0, self.noise)[:, None, None, None]).clamp(0, 1)

        drawings = [
            Drawing(
                label=int(labels[i]),
                thickness="thin" if spread[i] < 0.2 else "bold" if spread[i] > 0.36 else "",
                colour=colours[i],
                sharpness="blurry" if side[i] <= 12 else "sharp",
            )
            for i in range(size)
        ]
        return images, drawings

    def _warp(self, size: int, uniform, rng: torch.Generator) -> Tensor:
        """Sampling positions of an affine map and an elastic displacement: `(B, 64, 64, 2)`."""
        angle, slant = uniform(-self.rotate, self.rotate), uniform(-self.slant, self.slant)
        aspect = uniform(-self.stretch, self.stretch).exp()
        # The largest glyphs reach the frame, as in scans that are cut out tightly.
        height = uniform(0.95, 1.4) * GLYPH / CANVAS / 0.75
        cos, sin = angle.cos(), angle.sin()
        rotation = torch.stack([cos, -sin, sin, cos], 1).view(size, 2, 2)
        shear = torch.stack([torch.ones(size), slant, torch.zeros(size), torch.ones(size)], 1).view(
            size, 2, 2
        )
        scale = torch.diag_embed(torch.stack([1 / (height * aspect), 1 / height], 1))
        shift = torch.stack([uniform(-0.1, 0.1), uniform(-0.1, 0.1)], 1)[:, :, None]
        affine = torch.cat([scale @ shear @ rotation, shift], 2)
        grid = F.affine_grid(affine, [size, 1, CANVAS, CANVAS], align_corners=False)
        knots = torch.randn(size, 2, 4, 4, generator=rng)
        knots = knots * (self.bend * uniform(0.2, 1.3))[:, None, None, None]
        bend = F.interpolate(knots, size=(CANVAS, CANVAS), mode="bicubic", align_corners=True)
        return grid + bend.permute(0, 2, 3, 1)

    def _colour(self, ink: Tensor, uniform, rng: torch.Generator) -> tuple[Tensor, list[str]]:
        """Ink `(B, 1, H, W)` on paper, most of it grey: images `(B, 3, H, W)` and ink names."""
        size = ink.shape[0]
        names, inks = list(INKS), torch.tensor(list(INKS.values()))
        grey = (uniform(0, 1) < self.inverted).long()  # 0: light on dark, 1: dark on light
        grey_only = uniform(0, 1) >= self.coloured
        coloured = torch.randint(2, len(names), (size,), generator=rng)
        choice = torch.where(grey_only, grey, coloured)
        dark_paper = torch.where(choice < 2, choice == 0, uniform(0, 1) < 0.5)
        paper = torch.where(dark_paper, uniform(0, 0.2), uniform(0.8, 1.0))[:, None, None, None]
        strength = uniform(0.65, 1.0)[:, None, None, None]
        colour = inks[choice][:, :, None, None]
        return paper + (colour - paper) * strength * ink, [names[i] for i in choice]


def _pen(ink: Tensor, width: Tensor) -> Tensor:
    """Thicken each image by `width` pixels of its own, or thin it where that is negative."""
    out = ink.clone()
    for w in width.unique().tolist():
        chosen = ink[width == w]
        # Alternating squares and crosses make a nearly round pen.
        for step in range(abs(w)):
            grown = chosen if w > 0 else -chosen
            if step % 2:
                grown = F.max_pool2d(grown, 3, 1, 1)
            else:
                grown = torch.maximum(
                    F.max_pool2d(grown, (3, 1), 1, (1, 0)), F.max_pool2d(grown, (1, 3), 1, (0, 1))
                )
            chosen = grown if w > 0 else -grown
        out[width == w] = chosen
    return out


def _blur(ink: Tensor, rounds: Tensor) -> Tensor:
    """Smooth each image with a 3 x 3 box a number of times of its own."""
    for i in range(int(rounds.max())):
        ink = torch.where((rounds > i)[:, None, None, None], F.avg_pool2d(ink, 3, 1, 1), ink)
    return ink


def _sample_at(ink: Tensor, side: Tensor) -> Tensor:
    """Reduce each image to `side` pixels of its own and enlarge it to 32 x 32, bicubic."""
    out = ink.new_empty(ink.shape[0], 1, IMAGE, IMAGE)
    for s in side.unique().tolist():
        small = F.adaptive_avg_pool2d(ink[side == s], s)
        out[side == s] = F.interpolate(small, size=(IMAGE, IMAGE), mode="bicubic")
    return out.clamp(0, 1)
