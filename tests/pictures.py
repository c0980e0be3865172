"""Small image files with known pixels, for the tests of reading them.

Each picture has six blocks of 8 x 8 pixels, three beside each other in two rows, so that lossy
formats keep their colours and every way to turn it shows.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageFile
from PIL.Image import Transpose

COLOURS = np.array(
    [(255, 0, 0), (0, 128, 64), (20, 40, 200), (250, 250, 250), (0, 0, 0), (90, 200, 210)], np.uint8
)
GREYS = np.array([0, 60, 180, 255, 100, 220], np.uint8)
ALPHAS = np.array([128, 255, 0, 255, 64, 200], np.uint8)

# What each format keeps, and how far its pixels may be off.
FORMATS = {
    "PNG": ("1 L LA P RGB RGBA I;16", 0),
    "TIFF": ("1 L LA P PA RGB RGBA RGBX CMYK YCbCr LAB I;16 I;16B F", 0),
    "JPEG": ("L RGB RGBX CMYK YCbCr", 6),
    "MPO": ("L RGB CMYK", 6),
    "JPEG2000": ("L LA RGB RGBA CMYK YCbCr I;16", 0),
    "WEBP": ("L LA P PA RGB RGBA RGBX CMYK", 0),
    "AVIF": ("L LA P PA RGB RGBA RGBX CMYK", 6),
    "GIF": ("1 L P", 0),
    "BMP": ("1 L P RGB", 0),
    "DIB": ("1 L P RGB", 0),
    "PPM": ("1 L RGB I;16 I F", 0),
    "TGA": ("1 L LA P RGB RGBA", 0),
    "SGI": ("L RGB RGBA", 0),
    "PCX": ("1 L P RGB", 0),
    "DDS": ("L LA RGB RGBA", 0),
    "QOI": ("RGB RGBA", 0),
    "ICO": ("L LA P RGB RGBA I;16", 0),
    "IM": ("1 L LA P PA RGB RGBA RGBX CMYK YCbCr I;16 I;16B I;16L F", 0),
    "MSP": ("1", 0),
}
OPTIONS = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "MPO": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "ICO": {"sizes": [(24, 16)]},
}
CASES = [(name, mode) for name, (modes, _) in FORMATS.items() for mode in modes.split()]
TURNS = {  # EXIF orientation: how a camera that was held like that stores the picture
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def blocks(values: np.ndarray) -> np.ndarray:
    """One value a block, `(6,)` or `(6, channels)`, as pixels `(16, 24)` or with channels."""
    grid = np.asarray(values).reshape(2, 3, *np.shape(values)[1:])
    return grid.repeat(8, axis=0).repeat(8, axis=1)


def picture(mode: str) -> tuple[Image.Image, np.ndarray, np.ndarray | None]:
    """An image of that mode, its colours `(6, 3)` as seen, and its alphas `(6,)` if it has any."""
    grey = np.repeat(GREYS[:, None], 3, axis=1)
    if mode == "1":
        ink = np.where(GREYS > 127, 255, 0).astype(np.uint8)
        image = Image.fromarray(blocks(ink)).convert("1")
        return image, np.repeat(ink[:, None], 3, axis=1), None
    if mode == "L":
        return Image.fromarray(blocks(GREYS)), grey, None
    if mode.startswith("I;16"):
        wide = blocks(GREYS.astype(np.uint16) * 257)
        byteorder = ">u2" if mode == "I;16B" else "<u2"
        data = wide.astype(byteorder).tobytes()
        return Image.frombytes(mode, (24, 16), data), grey, None
    if mode == "I":
        return Image.fromarray(blocks(GREYS.astype(np.int32) * 257)), grey, None
    if mode == "F":
        return Image.fromarray(blocks(GREYS / np.float32(255))), grey, None
    if mode in ("LA", "La"):
        image = Image.fromarray(blocks(np.stack([GREYS, ALPHAS], axis=1)), "LA")
        return image.convert(mode), grey, ALPHAS
    if mode in ("P", "PA"):
        image = Image.fromarray(blocks(np.arange(6, dtype=np.uint8)))
        image.putpalette(COLOURS.tobytes())
        if mode == "PA":
            image = image.convert("PA")
            image.putalpha(Image.fromarray(blocks(ALPHAS)))
        return image, COLOURS, ALPHAS if mode == "PA" else None
    if mode in ("RGBA", "RGBa"):
        image = Image.fromarray(blocks(np.concatenate([COLOURS, ALPHAS[:, None]], axis=1)))
        return image.convert(mode), COLOURS, ALPHAS
    return Image.fromarray(blocks(COLOURS)).convert(mode), COLOURS, None


def on_white(colours: np.ndarray, alphas: np.ndarray | None) -> np.ndarray:
    """The colours `(6, 3)` as a person sees them on white paper, floats."""
    share = 1.0 if alphas is None else alphas[:, None] / 255
    return colours * share + 255 * (1 - share)


def png(width: int, height: int, bits: int, kind: int, rows: bytes, clear: bytes = b"") -> bytes:
    """A PNG of any depth: `kind` is its colour type, `clear` its tRNS chunk."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    middle = chunk(b"tRNS", clear) if clear else b""
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + body


def tiff(width: int, bits: int, data: bytes, white_is_zero: bool = False, kind: int = 1) -> bytes:
    """A TIFF of one row and one channel; `kind` 1 is unsigned, 2 signed, 3 floats."""
    tags = {
        256: width, 257: 1, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8, 277: 1,
        278: 1, 279: len(data), 339: kind,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = 8 + len(data)
    return (
        struct.pack("<2sHI", b"II", 42, start)
        + data
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


class AnyMode(ImageFile.ImageFile):
    """A format of the tests' own, for the modes that no format of Pillow's own gives."""

    format = "ANYMODE"
    format_description = "pixels as Pillow has them in memory"

    def _open(self) -> None:
        _, mode, width, height = self.fp.readline().decode().split()
        self._mode, self._size = mode, (int(width), int(height))
        if mode in ("P", "PA"):
            self.palette = Image.new("P", (1, 1)).palette
        self.tile = [("raw", (0, 0, *self._size), self.fp.tell(), (mode, 0, 1))]


def any_mode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    file.write(f"ANYMODE {image.mode} {image.width} {image.height}\n".encode())
    file.write(image.tobytes())
    return file.getvalue()
