"""`read_image` where values are wider or narrower than 8 bits, or are no grey levels at all."""

import struct

import numpy as np
import pytest
from dassl.utils import read_image
from pictures import png, tiff
from PIL import Image

SIXTEEN_BITS = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def grey(path, **flags):
    """The picture's grey levels; all three channels have them."""
    pixels = np.asarray(read_image(str(path), **flags))
    assert pixels.dtype == np.uint8 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def levels(path, data, **flags):
    path.write_bytes(data)
    return grey(path, **flags).ravel().tolist()


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2", "im"])
def test_sixteen_bits_of_any_container_are_divided_by_257(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SIXTEEN_BITS).save(path)
    assert np.array_equal(grey(path), np.rint(SIXTEEN_BITS / 257))
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint16) * 257, (256, 1))).save(path)
    assert grey(path).mean() == 127.5


def test_big_endian_and_compressed_tiffs_have_the_same_values(tmp_path):
    big = Image.frombytes("I;16B", (256, 256), SIXTEEN_BITS.astype(">u2").tobytes())
    for i, (image, compression) in enumerate(
        [(big, "raw"), (Image.fromarray(SIXTEEN_BITS), "tiff_lzw"), (big, "tiff_adobe_deflate")]
    ):
        image.save(tmp_path / f"{i}.tif", compression=compression)
        assert np.array_equal(grey(tmp_path / f"{i}.tif"), np.rint(SIXTEEN_BITS / 257))


@pytest.mark.parametrize(
    ("header", "values", "wanted"),
    [
        (b"P5 4 1 65535\n", struct.pack(">4H", 0, 257, 30000, 65535), [0, 1, 117, 255]),
        (b"P5 4 1 1000\n", struct.pack(">4H", 0, 100, 500, 1000), [0, 26, 128, 255]),
        (b"P5 4 1 4095\n", struct.pack(">4H", 0, 1365, 2048, 4095), [0, 85, 128, 255]),
        (b"P5 4 1 15\n", bytes([0, 1, 8, 15]), [0, 17, 136, 255]),
        (b"P5 4 1 255\n", bytes([0, 1, 200, 255]), [0, 1, 200, 255]),
        (b"P2 4 1 65535\n", b"0 257 30000 65535\n", [0, 1, 117, 255]),
        (b"P2 4 1 3\n", b"0 1 2 3\n", [0, 85, 170, 255]),
        (b"P1 4 1\n", b"0 1 1 0\n", [255, 0, 0, 255]),
        (b"P4 4 1\n", bytes([0b01100000]), [255, 0, 0, 255]),
    ],
)
def test_portable_grey_maps_of_every_depth_are_scaled_to_white(tmp_path, header, values, wanted):
    assert levels(tmp_path / "a.pgm", header + values) == wanted


def test_colours_of_sixteen_bits_are_scaled_too(tmp_path):
    colours = struct.pack(">6H", 0, 257 * 128, 65535, 257, 257 * 254, 257 * 3)
    for data in (png(2, 1, 16, 2, b"\0" + colours), b"P6 2 1 65535\n" + colours):
        (tmp_path / "a").write_bytes(data)
        assert np.asarray(read_image(str(tmp_path / "a"))).tolist() == [
            [[0, 128, 255], [1, 254, 3]]
        ]


@pytest.mark.parametrize(
    ("bits", "row", "wanted"),
    [
        (1, [0b01100000], [0, 255, 255, 0]),
        (2, [0b00011011], [0, 85, 170, 255]),
        (4, [0x01, 0x8F], [0, 17, 136, 255]),
        (8, [0, 1, 200, 255], [0, 1, 200, 255]),
        (16, [0, 0, 1, 1, 128, 128, 255, 255], [0, 1, 128, 255]),
    ],
)
def test_one_transparent_grey_of_any_depth_lies_on_white(tmp_path, bits, row, wanted):
    second = struct.pack(">H", 257 if bits == 16 else 1)
    data = png(4, 1, bits, 0, b"\0" + bytes(row), clear=second)
    assert levels(tmp_path / "a.png", data) == wanted
    on_white = [255 if value == wanted[1] else value for value in wanted]
    assert levels(tmp_path / "a.png", data, as_seen=True) == on_white


@pytest.mark.parametrize("bits", [8, 16])
def test_one_transparent_colour_of_any_depth_lies_on_white(tmp_path, bits):
    letter, unit = {8: ("B", 1), 16: ("H", 257)}[bits]
    values = struct.pack(f">6{letter}", *(unit * v for v in (1, 2, 3, 1, 2, 4)))
    clear = struct.pack(">3H", unit, unit * 2, unit * 3)
    (tmp_path / "a.png").write_bytes(png(2, 1, bits, 2, b"\0" + values, clear))
    for as_seen, first in ((False, [1, 2, 3]), (True, [255, 255, 255])):
        pixels = np.asarray(read_image(str(tmp_path / "a.png"), as_seen=as_seen))
        assert pixels.tolist() == [[first, [1, 2, 4]]]


def test_tiffs_of_twelve_bits_and_with_white_as_zero_are_scaled(tmp_path):
    packed = bytes([0x00, 0x05, 0x55, 0x80, 0x0F, 0xFF])  # 0, 0x555, 0x800, 0xFFF
    assert levels(tmp_path / "a.tif", tiff(4, 12, packed)) == [0, 85, 128, 255]
    wide = struct.pack("<4H", 0, 257, 30000, 65535)
    assert levels(tmp_path / "a.tif", tiff(4, 16, wide)) == [0, 1, 117, 255]
    assert levels(tmp_path / "a.tif", tiff(4, 16, wide, white_is_zero=True)) == [255, 254, 138, 0]
    floats = struct.pack("<4f", 0, 0.25, 0.5, 1)
    for white_is_zero, wanted in ((False, [0, 64, 128, 255]), (True, [255, 191, 127, 0])):
        data = tiff(4, 32, floats, white_is_zero, kind=3)
        assert levels(tmp_path / "a.tif", data) == wanted


@pytest.mark.parametrize("suffix", ["tif", "pfm", "im"])
def test_floats_of_0_to_1_are_multiplied_by_255(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    values = (np.arange(256, dtype=np.float32) / 255).reshape(16, 16)
    Image.fromarray(values).save(path)
    assert np.array_equal(grey(path).ravel(), np.arange(256))
    Image.fromarray(np.zeros((2, 2), np.float32)).save(path)
    assert grey(path).max() == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 0.5, 1.5], r"floats from 0\.0 to 1\.5"),
        ([-0.25, 0, 1], r"floats from -0\.25 to 1\.0"),
        ([0, 200, 255], r"floats from 0\.0 to 255\.0"),
        ([0, 0.5, float("nan")], r"floats from 0\.0 to 0\.5 with 1 that are NaN"),
        ([float("nan")] * 3, r"floats with 3 that are NaN"),
        ([0, 1, float("inf")], r"floats from 0\.0 to inf"),
    ],
)
@pytest.mark.parametrize("as_seen", [False, True])
def test_floats_beyond_that_are_refused_with_their_range(tmp_path, values, said, as_seen):
    path = tmp_path / "depth map.tif"
    Image.fromarray(np.array([values], np.float32)).save(path)
    with pytest.raises(OSError, match=rf"depth map\.tif.*{said}.*0 to 1"):
        read_image(str(path), as_seen=as_seen)


@pytest.mark.parametrize(
    ("bits", "letter", "kind", "values"),
    [
        (32, "i", 2, (-5, 70000)),
        (32, "i", 1, (0, 255)),
        (32, "i", 2, (0, 65535)),
        (16, "h", 2, (-3, 1000)),
    ],
)
def test_wide_or_signed_integers_are_refused_with_their_range(tmp_path, bits, letter, kind, values):
    path = tmp_path / "heights.tif"
    path.write_bytes(tiff(2, bits, struct.pack(f"<2{letter}", *values), kind=kind))
    said = f"integers from {values[0]} to {values[1]}, which have no common meaning"
    with pytest.raises(OSError, match=rf"heights\.tif.*{said}"):
        read_image(str(path))
