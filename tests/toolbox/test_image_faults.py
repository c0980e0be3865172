"""Files that are no picture, or not a whole one: one error that names the file once."""

import os
import re

import numpy as np
import pytest
from dassl.utils import read_image
from fewshot_datasets.check import broken_images
from PIL import Image


def whole(suffix):
    import io

    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, suffix)
    return data.getvalue()


FAULTS = {
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"not a picture\n",
    "page.png": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "zeros.jpg": lambda: bytes(5000),
    "cut.jpg": lambda: whole("JPEG")[:900],
    "cut.png": lambda: whole("PNG")[:900],
    "cut.webp": lambda: whole("WEBP")[:900],
    "cut.tif": lambda: whole("TIFF")[:900],
    "cut.bmp": lambda: whole("BMP")[:900],
    "head.png": lambda: whole("PNG")[:20],
    "flat.pgm": lambda: b"P5 0 0 255\n",
    "without pixels.bmp": lambda: whole("BMP")[:18] + bytes(8) + whole("BMP")[26:],
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("as_seen", [False, True])
def test_a_file_that_is_no_whole_picture_is_named_once(tmp_path, name, as_seen):
    path = tmp_path / name
    path.write_bytes(FAULTS[name]())
    with pytest.raises(OSError) as error:
        read_image(str(path), as_seen=as_seen)
    text = str(error.value)
    assert text.startswith(f'Cannot read the image "{path}": ')
    assert text.count(name) == 1 and "\n" not in text and "SKIP_BAD_IMAGES" in text
    reason = re.search(r'": (.*)\. Repair', text)[1]
    assert broken_images(str(tmp_path), [name], "x", as_seen) == [f"{path} ({reason})"]


@pytest.mark.parametrize("name", ["nothing.png", "folder.png"])
def test_what_is_no_file_is_named_too(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match=rf'Cannot read the image ".*{name}"') as error:
        read_image(str(tmp_path / name))
    assert str(error.value).count(name) == 1


def test_a_picture_too_large_to_be_one_is_refused_by_name(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(OSError, match=r"bomb\.png.*DecompressionBombError.*90000 pixels"):
        read_image(str(tmp_path / "bomb.png"))


def test_reading_leaves_no_file_open(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.tif")
    (tmp_path / "b.png").write_bytes(whole("PNG")[:900])
    read_image(str(tmp_path / "a.tif"))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        read_image(str(tmp_path / "a.tif"))
        with pytest.raises(OSError):
            read_image(str(tmp_path / "b.png"))
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
