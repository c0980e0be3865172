"""`read_image` over all modes and formats: the colours of every picture are known."""

import numpy as np
import pytest
from dassl.utils import read_image
from pictures import CASES, FORMATS, OPTIONS, TURNS, AnyMode, any_mode, blocks, on_white, picture
from PIL import Image

Image.init()
# Rounding of colour spaces, which is the same for every format.
OWN_ERROR = {"YCbCr": 2, "HSV": 2, "LAB": 20}


def save(image, path, name, **more):
    """Write the file, or skip the test where this Pillow cannot."""
    try:
        image.save(path, name, **OPTIONS.get(name, {}), **more)
    except (OSError, KeyError, ValueError) as error:
        pytest.skip(f"this Pillow writes no {name} of mode {image.mode}: {error}")


def error_of(image, wanted):
    assert image.mode == "RGB"
    return abs(np.asarray(image).astype(float) - blocks(wanted)).max()


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_every_mode_of_every_format_has_its_colours(tmp_path, name, mode):
    image, colours, alphas = picture(mode)
    allowed = FORMATS[name][1] + OWN_ERROR.get(mode, 0) + 0.5
    save(image, tmp_path / "a", name)
    assert error_of(read_image(str(tmp_path / "a"), as_seen=True), on_white(colours, alphas)) <= (
        allowed
    )
    seen = np.ones(6, bool) if alphas is None else alphas > 0  # codecs may drop what nobody sees
    stored = np.asarray(read_image(str(tmp_path / "a"))).astype(float)
    assert abs(stored - blocks(colours))[blocks(seen)].max() <= allowed + 2 * (name == "AVIF")


@pytest.mark.parametrize(
    ("name", "mode"), [c for c in CASES if c[0] in ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "AVIF")]
)
def test_pictures_of_every_mode_are_turned_upright_on_white(tmp_path, name, mode):
    image, colours, alphas = picture(mode)
    wanted = on_white(colours, alphas)
    allowed = FORMATS[name][1] + OWN_ERROR.get(mode, 0) + 0.5
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = image if turn is None else image.transpose(turn)
        tag = {"tiffinfo": {0x0112: orientation}} if name == "TIFF" else {"exif": exif}
        path = tmp_path / str(orientation)
        save(stored, path, name, **tag)
        assert error_of(read_image(str(path), as_seen=True), wanted) <= allowed
        # Pillow itself turns a TIFF, whose tag says where its rows lie, and nothing else.
        size = image.size if name == "TIFF" else stored.size
        assert read_image(str(path)).size == size


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_are_turned_too(tmp_path, compression):
    image, colours, _ = picture("RGB")
    for orientation, turn in TURNS.items():
        stored = image if turn is None else image.transpose(turn)
        tags = {"tiffinfo": {0x0112: orientation}, "compression": compression}
        save(stored, tmp_path / "a", "TIFF", **tags)
        assert error_of(read_image(str(tmp_path / "a"), as_seen=True), colours) == 0


@pytest.fixture
def any_mode_opens(monkeypatch):
    monkeypatch.setattr(Image, "ID", [*Image.ID, "ANYMODE"])
    opener = (AnyMode, lambda prefix: prefix.startswith(b"ANYMODE"))
    monkeypatch.setitem(Image.OPEN, "ANYMODE", opener)


@pytest.mark.parametrize("mode", sorted(set(Image.MODES) - {"P", "PA", "I"}))
def test_modes_that_no_format_gives_have_their_colours(tmp_path, any_mode_opens, mode):
    image, colours, alphas = picture(mode)
    (tmp_path / "a").write_bytes(any_mode(image))
    allowed = OWN_ERROR.get(mode, 0) + 0.5
    assert error_of(read_image(str(tmp_path / "a"), True), on_white(colours, alphas)) <= allowed
    if mode not in ("La", "RGBa"):  # premultiplied ones have no colour below what is transparent
        assert error_of(read_image(str(tmp_path / "a")), colours) <= allowed


@pytest.mark.parametrize("transparent", [2, bytes([128, 255, 0, 255, 64, 200])])
def test_transparent_palette_entries_lie_on_white(tmp_path, transparent):
    image, colours, _ = picture("P")
    image.save(tmp_path / "a.png", transparency=transparent)
    listed = transparent if isinstance(transparent, bytes) else [255, 255, 0, 255, 255, 255]
    wanted = on_white(colours, np.array([*listed]))
    assert error_of(read_image(str(tmp_path / "a.png"), as_seen=True), wanted) <= 0.5
    assert error_of(read_image(str(tmp_path / "a.png")), colours) == 0


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, name):
    first, colours, _ = picture("RGB")
    others = [Image.new("RGB", first.size, "green"), Image.new("RGB", first.size, "blue")]
    more = {"compression": "raw"} if name == "TIFF" else {}
    save(first, tmp_path / "a", name, save_all=True, append_images=others, **more)
    assert error_of(read_image(str(tmp_path / "a")), colours) <= FORMATS[name][1]


def test_damaged_metadata_costs_no_picture(tmp_path):
    image, colours, _ = picture("RGB")
    image.save(
        tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\0"
    )
    assert error_of(read_image(str(tmp_path / "a.png"), as_seen=True), colours) == 0
    exif = Image.Exif()
    exif[0x0112] = 77
    image.save(tmp_path / "a.png", exif=exif)
    assert error_of(read_image(str(tmp_path / "a.png"), as_seen=True), colours) == 0


EIGHT_BITS = {
    "PNG": "1 L LA P RGB RGBA",
    "JPEG": "L RGB CMYK",
    "WEBP": "L RGB RGBA",
    "GIF": "L P RGB RGBA",
    "TIFF": "1 L LA P RGB RGBA CMYK",
    "BMP": "1 L P RGB RGBA",
}


@pytest.mark.parametrize(("name", "modes"), EIGHT_BITS.items())
def test_eight_bits_as_stored_are_what_convert_makes_of_them(tmp_path, name, modes):
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 4)).astype(np.uint8)
    for mode in modes.split():
        source = Image.fromarray(noise, "RGBA")
        source = source.convert("RGB") if mode in ("P", "CMYK") else source
        source.convert(mode).save(tmp_path / mode, name)
        wanted = np.asarray(Image.open(tmp_path / mode).convert("RGB"))
        assert np.array_equal(np.asarray(read_image(str(tmp_path / mode))), wanted)
