"""Pictures from anywhere as the 8-bit RGB that a person sees: files, PIL images, arrays, tensors.

It reads files as the stand-in's `dassl.utils.read_image` does, which serves the data sets and which
nothing here may import; a test holds the two equal.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.Image import Transpose

Picture = Any  # a path, a PIL image, an array or a tensor
CHANNELS = (1, 3, 4)

_TIFF_BITS, _TIFF_MEANING, _ORIENTATION = 258, 262, 274
_UNDO = dict(  # by orientation
    enumerate(
        (
            *(Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
            *(Transpose.TRANSPOSE, Transpose.ROTATE_270),
            *(Transpose.TRANSVERSE, Transpose.ROTATE_90),
        ),
        start=2,
    )
)
# A PNG's grey levels of few bits, and what its transparent one is multiplied by to have 8.
_FEW_BITS = {"1": 255, "L;2": 85, "L;4": 17}


def read_picture(source: Picture, as_seen: bool = False) -> Image.Image:
    """A picture in 8-bit RGB; of an animation the first frame.

    Grey levels of 16 bits are divided by 257 and rounded, floats of 0 to 1 multiplied by 255.

    Args:
        source: a path, a PIL image, a NumPy array `(H, W)` or `(H, W, C)`, or a torch tensor
            `(H, W)` or `(C, H, W)`, of 1, 3 or 4 channels (RGBA): uint8, uint16, bool, or floats.
        as_seen: turn it upright, as its EXIF orientation says, and lay what is transparent on
            white; else both are ignored.

    Raises:
        OSError: a file that cannot be decoded, with its path.
        ValueError: what is no picture, or has values without a common meaning as brightness (other
            floats, signed integers and wider ones); of a file that is an `OSError`, too.
    """
    if isinstance(source, Image.Image):
        return _as_rgb(source, as_seen)
    if not isinstance(source, str | os.PathLike):
        return _as_rgb(_from_array(source), as_seen)
    try:
        # Opened here: a TIFF that Pillow opens by name it may map, and scramble if it is turned.
        with open(source, "rb") as file, Image.open(file) as image:
            return _as_rgb(image, as_seen)
    except Exception as error:  # decoders raise many types on broken files
        path = os.fspath(source)
        names = rf"<_io\.BufferedReader[^>]*>|{re.escape(repr(path))}"
        reason = re.sub(names, "this file", f"{type(error).__name__}: {error}").rstrip(".")
        raise OSError(f'Cannot read the image "{path}": {reason}. Repair or remove it') from error


def _as_rgb(image: Image.Image, as_seen: bool) -> Image.Image:
    tiles = getattr(image, "tile", ())
    stored = tiles[0][3] if image.format == "PNG" and tiles else ""
    image.load()
    if 0 in image.size:
        raise ValueError("it has no pixels")
    deep = image.mode == "F" or image.mode.startswith("I")
    clear = image.info.get("transparency") if as_seen else None
    alpha = None
    if deep:
        rgb = Image.fromarray(_grey(image)).convert("RGB")
        if clear is not None:
            alpha = Image.fromarray(np.uint8(255) * (np.asarray(image) != clear))
    else:
        # Pillow has no way from La to RGB.
        plain = image.convert("LA") if image.mode == "La" else image
        if as_seen and image.has_transparency_data:
            plain = _with_alpha(plain, clear, stored)
            alpha = plain.getchannel("A")
        rgb = plain.convert("RGB")
    if alpha is not None:
        paper = Image.new("RGB", rgb.size, "white")
        paper.paste(rgb, mask=alpha)
        rgb = paper
    if as_seen:
        with suppress(Exception):  # damaged metadata: the pixels are there all the same
            return rgb.transpose(_UNDO[image.getexif()[_ORIENTATION]])
    return rgb


def _with_alpha(image: Image.Image, clear: Any, stored: str) -> Image.Image:
    """As RGBA. PNG states its transparent colour in the file's depth, Pillow the pixels in 8 bits.

    Args:
        clear: that colour, or an alpha for each colour of a palette, or None.
        stored: the file's layout of pixels, of a PNG that was not decoded before.
    """
    if clear is not None and (stored in _FEW_BITS or stored == "RGB;16B"):
        image = image.copy()
        wide = stored == "RGB;16B"
        image.info["transparency"] = (
            tuple(channel >> 8 for channel in clear)
            if wide
            else min(clear * _FEW_BITS[stored], 255)
        )
    return image.convert("RGBA")


def _grey(image: Image.Image) -> np.ndarray:
    """One channel of more than 8 bits as uint8 `(H, W)`."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    negative = tags.get(_TIFF_MEANING) == 0  # white is zero
    if image.mode == "F":
        levels = _levels(values)
        return 255 - levels if negative else levels
    # Earlier releases of Pillow have 16 bits of PNG, within icons too, as mode I.
    if image.mode == "I" and image.format not in ("PNG", "PPM", "ICO", "ICNS"):
        raise _meaningless(values, "signed or 32-bit integers", "with 8 or 16 bits")
    bits = tags.get(_TIFF_BITS, 16)
    white = 2 ** (bits[0] if isinstance(bits, tuple) else bits) - 1
    return _levels(white - values.astype(np.int64) if negative else values, white)


def _levels(values: np.ndarray, white: int = 65535) -> np.ndarray:
    """Floats of 0 to 1, or integers of 0 to `white`, as uint8."""
    if values.dtype.kind != "f":
        rounded = (values.astype(np.int64) * 255 + white // 2) // white
        return rounded.clip(0, 255).astype(np.uint8)
    if not ((values >= 0) & (values <= 1)).all():  # NaN is neither
        raise _meaningless(values, "floats", "with values of 0 to 1, or with 8 or 16 bits")
    return np.rint(values.astype(np.float64) * 255).astype(np.uint8)


def _meaningless(values: np.ndarray, kind: str, instead: str) -> ValueError:
    numbers = values[values == values]
    extent = f" from {numbers.min()} to {numbers.max()}" if numbers.size else ""
    missing = values.size - numbers.size
    nan = f" with {missing} that are NaN" if missing else ""
    return ValueError(
        f"its values are {kind}{extent}{nan}, which have no common meaning as brightness; save it "
        f"{instead}"
    )


def _from_array(source: Any) -> Image.Image:
    axes = "(H, W) or (H, W, C)"
    if isinstance(source, torch.Tensor):
        axes = "(H, W) or (C, H, W)"
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source
        source = source.movedim(0, -1) if source.ndim == 3 else source
    values = source.numpy() if isinstance(source, torch.Tensor) else source
    if not isinstance(values, np.ndarray):
        raise ValueError(
            f"a picture is a path, a PIL image, an array or a tensor, not a {type(source).__name__}"
        )
    shape = values.shape
    if values.ndim not in (2, 3) or (values.ndim == 3 and shape[-1] not in CHANNELS):
        given = (*shape[2:], *shape[:2]) if axes.endswith("(C, H, W)") else shape
        raise ValueError(f"a picture of shape {given}: {axes} is wanted, with 1, 3 or 4 channels C")
    if not values.size:
        raise ValueError(f"a picture of shape {shape}: it has no pixels")
    kind = values.dtype
    if kind.kind == "b":
        values = values * np.uint8(255)
    elif kind == np.uint16 or kind.kind == "f":
        values = _levels(values)
    elif kind != np.uint8:
        raise _meaningless(values, f"{kind} numbers", "as uint8, uint16 or floats of 0 to 1")
    return Image.fromarray(
        np.ascontiguousarray(values.squeeze(-1) if shape[2:] == (1,) else values)
    )
