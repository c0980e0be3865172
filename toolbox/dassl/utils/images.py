"""One reader for all image files: whatever Pillow opens, as the 8-bit RGB that a person sees.

Pillow's own `convert("RGB")` clips where values are wider than 8 bits: a 16-bit scan turns white,
a float picture black. Here these are scaled, and what has no common meaning as brightness is
refused. 8-bit pictures are what `convert("RGB")` makes of them, to the bit.
"""

import re
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Transpose

_ORIENTATION = 0x0112  # the EXIF and TIFF tag; its values 2 to 8 are what undoes them
_UPRIGHT = dict(
    enumerate(
        [
            Transpose.FLIP_LEFT_RIGHT,
            Transpose.ROTATE_180,
            Transpose.FLIP_TOP_BOTTOM,
            Transpose.TRANSPOSE,
            Transpose.ROTATE_270,
            Transpose.TRANSVERSE,
            Transpose.ROTATE_90,
        ],
        start=2,
    )
)
# Formats whose mode I holds 16 bits: PNG of earlier releases of Pillow, within icons too.
_MODE_I_OF_16_BITS = ("PNG", "PPM", "ICO", "ICNS")
# PNG states a transparent colour in the file's depth, Pillow the pixels in 8 bits.
_TO_8_BITS = {
    "1": lambda value: 255 * bool(value),
    "L;2": lambda value: value * 85,
    "L;4": lambda value: value * 17,
    "RGB;16B": lambda value: tuple(channel >> 8 for channel in value),
}


def read_image(path: str, as_seen: bool = False) -> Image.Image:
    """The image in 8-bit RGB; of an animation the first frame.

    Grey levels of more than 8 bits are divided by what white is (16 bits: by 257) and rounded;
    floats that all lie in 0 to 1 are multiplied by 255.

    Args:
        as_seen: also turn it upright, as its EXIF orientation says, and lay what is transparent on
            white. Without it, both are ignored as in the ecosystem's published results: pixels
            come as stored, and a transparent one has whatever colour lies below.

    Raises:
        OSError: the file cannot be decoded, or holds values without a common meaning (other floats,
            32-bit and signed integers); with the path and, of values, the range found.
    """
    try:
        return _decode(path, as_seen)
    except Exception as error:  # decoders raise many types on broken files, SyntaxError included
        raise OSError(
            f'Cannot read the image "{path}": {_reason(error, path)}. Repair or remove '
            "it, or leave unreadable images out with DATALOADER.SKIP_BAD_IMAGES True"
        ) from error


def image_fault(path: str, as_seen: bool = False) -> str:
    """Why `read_image` refuses a file; empty if it does not."""
    try:
        _decode(path, as_seen)
    except Exception as error:
        return _reason(error, path)
    return ""


def _reason(error: Exception, path: str) -> str:
    names = rf"<_io\.BufferedReader[^>]*>|{re.escape(repr(str(path)))}"
    text = re.sub(names, "this file", str(error)).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _decode(path: str, as_seen: bool) -> Image.Image:
    # Opened here: a TIFF that Pillow opens by name it may map, and scramble if it lies on a side.
    with open(path, "rb") as file, Image.open(file) as image:
        raw_mode = image.tile[0][3] if image.format == "PNG" and image.tile else None
        image.load()
        if 0 in image.size:
            raise ValueError("it has no pixels")
        if as_seen and raw_mode in _TO_8_BITS and "transparency" in image.info:
            image.info["transparency"] = _TO_8_BITS[raw_mode](image.info["transparency"])
        rgb = _on_white(image) if as_seen else _to_rgb(image)
        return _upright(rgb, image) if as_seen else rgb


def _is_wide(image: Image.Image) -> bool:
    """Whether its one channel has more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def _to_rgb(image: Image.Image) -> Image.Image:
    if _is_wide(image):
        return Image.fromarray(_grey_levels(image)).convert("RGB")
    if image.mode == "La":  # Pillow has no way from there to RGB
        image = image.convert("LA")
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    clear = image.info.get("transparency")
    if clear is not None and _is_wide(image):
        rgb = _to_rgb(image)
        alpha = Image.fromarray(np.where(np.asarray(image) == clear, 0, 255).astype(np.uint8))
    elif clear is not None or f"{image.mode}{palette}".endswith(("A", "a")):
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        rgb, alpha = rgba.convert("RGB"), rgba.getchannel("A")
    else:
        return _to_rgb(image)
    white = Image.new("RGB", rgb.size, "white")
    white.paste(rgb, mask=alpha)
    return white


def _upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    turn = None
    with suppress(Exception):  # damaged metadata: the pixels are there all the same
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
    return rgb if turn is None else rgb.transpose(turn)


def _grey_levels(image: Image.Image) -> np.ndarray:
    """The values of a picture of one wide channel as uint8 `(height, width)`."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    white_is_zero = tags.get(262) == 0  # PhotometricInterpretation; Pillow inverts 8 bits only
    if image.mode == "F":
        grey = _from_floats(values)
        return 255 - grey if white_is_zero else grey
    if image.mode == "I" and image.format not in _MODE_I_OF_16_BITS:
        raise ValueError(
            f"its values are signed or 32-bit integers from {values.min()} to {values.max()}, "
            "which have no common meaning as brightness; save it with 8 or 16 bits"
        )
    bits = tags.get(258, 16)  # BitsPerSample: TIFF also has 12
    white = (1 << (bits[0] if isinstance(bits, tuple) else bits)) - 1
    levels = values.astype(np.int64)
    levels = white - levels if white_is_zero else levels
    return ((levels * 255 + white // 2) // white).clip(0, 255).astype(np.uint8)


def _from_floats(values: Any) -> np.ndarray:
    numbers = values[~np.isnan(values)]
    if numbers.size == values.size and numbers.min() >= 0 and numbers.max() <= 1:
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8)
    extent = f" from {numbers.min()} to {numbers.max()}" if numbers.size else ""
    nan = f" with {values.size - numbers.size} that are NaN" if numbers.size < values.size else ""
    raise ValueError(
        f"its values are floats{extent}{nan}, which have no common meaning as brightness; "
        "save it with values of 0 to 1, or with 8 or 16 bits"
    )
