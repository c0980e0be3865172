"""Two readers of pictures, one behaviour: the plugin's own against the stand-in's, to the bit."""

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
import torch
from dassl.utils import read_image
from multimode_ot.training.pictures import read_picture
from pictures import CASES, OPTIONS, TURNS, AnyMode, any_mode, picture, png, tiff
from PIL import Image

Image.init()
GREY = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
CLEAR = np.random.default_rng(2).integers(0, 256, (5, 7, 4)).astype(np.uint8)


def outcome(read, path, as_seen):
    """Pixels, or that it is refused, for which reason."""
    try:
        image = read(str(path), as_seen)
    except OSError as error:
        reason = str(error).split('": ', 1)[1].split(". Repair")[0]
        return "refused", type(error), reason.split(":")[0], reason[:90]
    assert image.mode == "RGB"
    return image.size, image.tobytes()


def assert_same_of_both(path):
    for as_seen in (False, True):
        assert outcome(read_picture, path, as_seen) == outcome(read_image, path, as_seen), path


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_every_mode_of_every_format_is_read_alike_however_it_is_turned(tmp_path, name, mode):
    image, _, _ = picture(mode)
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        tag = {"tiffinfo": {0x0112: orientation}} if name == "TIFF" else {"exif": exif}
        stored = image if turn is None else image.transpose(turn)
        path = tmp_path / str(orientation)
        with suppress(OSError, KeyError, ValueError):  # what this Pillow does not write
            stored.save(path, name, **OPTIONS.get(name, {}), **tag)
        if path.is_file():
            assert_same_of_both(path)


@pytest.mark.parametrize("mode", sorted(set(Image.MODES) - {"I"}))
def test_so_are_modes_that_no_format_gives(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(Image, "ID", [*Image.ID, "ANYMODE"])
    opener = (AnyMode, lambda prefix: prefix.startswith(b"ANYMODE"))
    monkeypatch.setitem(Image.OPEN, "ANYMODE", opener)
    (tmp_path / "a").write_bytes(any_mode(picture(mode)[0]))
    assert_same_of_both(tmp_path / "a")


def noise(name):
    data = io.BytesIO()
    Image.fromarray(COLOUR).resize((40, 40)).save(data, name)
    return data.getvalue()


WIDE = struct.pack("<4H", 0, 257, 30000, 65535)
FLOATS = struct.pack("<4f", 0, 0.25, 0.5, 1)
with_one = " with a transparent one"
FILES = {
    **{
        f"grey of {bits} bits{with_one * bool(clear)}": png(4, 1, bits, 0, row, clear)
        for bits, row in ((1, b"\0\x60"), (2, b"\0\x1b"), (4, b"\0\x01\x8f"), (8, b"\0\0\1\2\3"),
                          (16, b"\0\0\0\1\1\x80\x80\xff\xff"))
        for clear in (b"", struct.pack(">H", 257 if bits == 16 else 1))
    },
    **{
        f"colours of {bits} bits, one transparent": png(
            2, 1, bits, 2,
            b"\0" + struct.pack(f">6{letter}", *(unit * v for v in (1, 2, 3, 1, 2, 4))),
            struct.pack(">3H", unit, unit * 2, unit * 3),
        )
        for bits, letter, unit in ((8, "B", 1), (16, "H", 257))
    },
    "a grey map of 16 bits": b"P5 4 1 65535\n" + struct.pack(">4H", 0, 257, 30000, 65535),
    "a grey map of 1000 levels": b"P5 4 1 1000\n" + struct.pack(">4H", 0, 100, 500, 1000),
    "TIFF of 12 bits": tiff(4, 12, bytes([0x00, 0x05, 0x55, 0x80, 0x0F, 0xFF])),
    "TIFF of 16 bits": tiff(4, 16, WIDE),
    "white is zero": tiff(4, 16, WIDE, white_is_zero=True),
    "floats": tiff(4, 32, FLOATS, kind=3),
    "floats, white is zero": tiff(4, 32, FLOATS, white_is_zero=True, kind=3),
    "floats beyond 1": tiff(4, 32, struct.pack("<4f", 0, 0.5, 1.5, -0.25), kind=3),
    "floats that are NaN": tiff(4, 32, struct.pack("<4f", 0, 0.5, 1, float("nan")), kind=3),
    "NaN alone": tiff(1, 32, struct.pack("<f", float("nan")), kind=3),
    "signed": tiff(2, 16, struct.pack("<2h", -3, 1000), kind=2),
    "32 bits": tiff(2, 32, struct.pack("<2i", -5, 70000), kind=2),
    "empty": b"",
    "a page": b"<!DOCTYPE html><html><body>404</body></html>",
    "cut JPEG": noise("JPEG")[:500],
    "cut PNG": noise("PNG")[:500],
    "head alone": noise("PNG")[:20],
    "cut TIFF": noise("TIFF")[:900],
    "no pixels": b"P5 0 0 255\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_so_are_depths_of_all_kinds_and_what_is_refused(tmp_path, name):
    (tmp_path / "a").write_bytes(FILES[name])
    assert_same_of_both(tmp_path / "a")


def test_so_are_palettes_with_transparency_damaged_metadata_and_what_is_no_file(tmp_path):
    image, _, _ = picture("P")
    for i, clear in enumerate((2, bytes([128, 255, 0, 255, 64, 200]))):
        image.save(tmp_path / f"{i}.png", transparency=clear)
        assert_same_of_both(tmp_path / f"{i}.png")
    picture("RGB")[0].save(
        tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\0"
    )
    assert_same_of_both(tmp_path / "a.png")
    (tmp_path / "folder").mkdir()
    for missing in ("nothing.png", "folder"):
        with pytest.raises(OSError, match=missing) as error:
            read_picture(tmp_path / missing)
        assert str(error.value).count(missing) == 1


# What the stand-in never sees


def pixels(source, **flags):
    return np.asarray(read_picture(source, **flags))


@pytest.mark.parametrize("as_seen", [False, True])
def test_an_open_image_is_read_as_its_file_is_and_stays_as_it_was(tmp_path, as_seen):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["grey of 2 bits with a transparent one"])
    with Image.open(path) as image:
        assert np.array_equal(pixels(image, as_seen=as_seen), pixels(path, as_seen=as_seen))
        assert image.mode in ("L", "P") and image.info["transparency"] == 1
    made = Image.fromarray(CLEAR)
    wanted = np.asarray(made.convert("RGB")) if not as_seen else None
    if wanted is not None:
        assert np.array_equal(pixels(made), wanted)
    assert made.mode == "RGBA"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (COLOUR, COLOUR),
        (CLEAR, CLEAR[..., :3]),
        (COLOUR.astype(np.uint16) * 257, COLOUR),
        (GREY.astype(np.uint16) * 257, GREY),
        (COLOUR.astype(np.float32) / 255, COLOUR),
        (GREY / 255, GREY),
        ((COLOUR / 255).astype(np.float16), COLOUR),
        (GREY > 100, (GREY > 100) * 255),
        (COLOUR[::-1, ::-1], COLOUR[::-1, ::-1]),
    ],
)
def test_arrays_and_tensors_of_all_kinds_have_their_colours(values, wanted):
    wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, axis=2)
    assert np.array_equal(pixels(values), wanted)
    if values.dtype != np.uint16:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        tensor = tensor.movedim(-1, 0) if tensor.ndim == 3 else tensor
        assert np.array_equal(pixels(tensor), wanted)
        if tensor.is_floating_point():
            assert np.array_equal(pixels(tensor.requires_grad_()), wanted)


def test_a_transparent_array_lies_on_white_where_it_is_read_as_seen():
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = 10, 20, 30, 255
    assert pixels(clear, as_seen=True).tolist() == [[[10, 20, 30], [255] * 3], [[255] * 3] * 2]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (GREY * 2.0, r"floats from 0\.0 to \d+\.0, which have no common meaning.*0 to 1"),
        (GREY.astype(int), r"int64 numbers from \d+ to \d+.*uint8, uint16 or floats of 0 to 1"),
        (np.full((2, 2), np.nan), "floats with 4 that are NaN"),
        (np.zeros((3, 4, 5), np.uint8), r"shape \(3, 4, 5\): \(H, W\) or \(H, W, C\) is wanted"),
        (torch.zeros(5, 6, 3), r"shape \(5, 6, 3\): \(H, W\) or \(C, H, W\) is wanted"),
        (np.zeros((0, 4), np.uint8), "no pixels"),
        (np.zeros(5), r"shape \(5,\)"),
        (None, "not a NoneType"),
        ([[0, 1], [1, 0]], "not a list"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_would_be_one(source, said):
    with pytest.raises(ValueError, match=said):
        read_picture(source)
