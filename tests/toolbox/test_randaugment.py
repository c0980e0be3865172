"""RandAugment's operations and draws, held against pixels written down one by one."""

import random

import numpy as np
import pytest
from dassl.data.transforms import build_transform
from dassl.data.transforms.randaugment import GREY, OPERATIONS, RandAugment
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

# Of magnitude 10, as published.
VALUES = {
    "autocontrast": None,
    "equalize": None,
    "invert": None,
    "rotate": 10,
    "posterize": 5.333,
    "solarize": 85.333,
    "solarize_add": 36.667,
    "colour": 0.7,
    "contrast": 0.7,
    "brightness": 0.7,
    "sharpness": 0.7,
    "shear_x": 0.1,
    "shear_y": 0.1,
    "cutout": 13.333,
    "translate_x": 33.333,
    "translate_y": 33.333,
}
SIGNED = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)


def applied(name, pixels, value):
    return np.asarray(OPERATIONS[name].apply(Image.fromarray(pixels), value)).astype(int)


@pytest.mark.parametrize("name", VALUES)
def test_magnitude_10_is_the_published_value_of_either_sign(name):
    found = {round(RandAugment(2, 10).value(OPERATIONS[name]), 3) for _ in range(60)}
    if VALUES[name] is not None:
        signs = (1, -1) if name in SIGNED else (1,)
        assert found == {sign * VALUES[name] for sign in signs}


def test_there_are_sixteen_and_all_are_drawn_alike(monkeypatch):
    assert set(OPERATIONS) == set(VALUES)
    drawn = []
    for name, operation in list(OPERATIONS.items()):
        watched = operation._replace(apply=lambda image, value, n=name: drawn.append(n) or image)
        monkeypatch.setitem(OPERATIONS, name, watched)
    random.seed(0)
    image = Image.new("RGB", (4, 4))
    for _ in range(1600):
        RandAugment(2, 10)(image)
    counts = {name: drawn.count(name) for name in OPERATIONS}
    assert sum(counts.values()) == 3200 and all(140 < n < 260 for n in counts.values()), counts
    pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
    assert 50 < sum(one == other for one, other in pairs) < 160  # with replacement


def test_draws_come_from_pythons_generator(pixels):
    results = []
    for seed in (3, 3, 4):
        random.seed(seed)
        np.random.seed(0)  # noqa: NPY002
        results.append(np.asarray(RandAugment(4, 10)(Image.fromarray(pixels))))
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


def test_pointwise_operations(pixels):
    x = pixels.astype(int)
    assert np.array_equal(applied("invert", pixels, 0), 255 - x)
    assert np.array_equal(applied("posterize", pixels, 5.33), x & 0b11111000)
    assert np.array_equal(applied("solarize", pixels, 85.33), np.where(x < 85.33, x, 255 - x))
    brighter = np.minimum(x + 36.67, 255).astype(int)
    wanted = np.where(brighter < 128, brighter, 255 - brighter)
    assert np.array_equal(applied("solarize_add", pixels, 36.67), wanted)
    assert np.abs(applied("brightness", pixels, 0.7) - 0.7 * x).max() <= 1
    grey = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)[..., None]
    assert np.abs(applied("colour", pixels, 0.7) - (0.7 * x + 0.3 * grey)).max() <= 1
    mean = int(grey.mean() + 0.5)
    assert np.abs(applied("contrast", pixels, 0.7) - (0.7 * x + 0.3 * mean)).max() <= 1
    image = Image.fromarray(pixels)
    smooth = np.asarray(image.filter(ImageFilter.SMOOTH)).astype(int)
    assert np.abs(applied("sharpness", pixels, 0.7) - (0.7 * x + 0.3 * smooth)).max() <= 1
    for name in ("autocontrast", "equalize"):
        wanted = np.asarray(getattr(ImageOps, name)(image))
        assert np.array_equal(applied(name, pixels, 0), wanted)
    assert ImageEnhance.Color  # PIL's own, as published


def test_geometric_operations_take_the_nearest_pixel_and_are_black_outside(pixels):
    height, width = pixels.shape[:2]
    for name, value, source in [
        ("translate_x", 5.0, lambda row, col: (row, col + 5)),
        ("translate_y", -3.0, lambda row, col: (row - 3, col)),
        ("shear_x", 0.1, lambda row, col: (row, int(np.floor(col + 0.5 + 0.1 * (row + 0.5))))),
        ("shear_y", -0.1, lambda row, col: (int(np.floor(row + 0.5 - 0.1 * (col + 0.5))), col)),
    ]:
        found = applied(name, pixels, value)
        wanted = np.zeros_like(found)
        for row in range(height):
            for col in range(width):
                r, c = source(row, col)
                if 0 <= r < height and 0 <= c < width:
                    wanted[row, col] = pixels[r, c]
        assert np.mean((found != wanted).any(-1)) < 0.02, name  # ties of rounding
    turned = applied("rotate", pixels, 90)
    assert np.array_equal(turned[:, 4:44], np.rot90(pixels[:, 4:44]))


def test_a_cutout_is_a_grey_square_of_a_place_of_numpys(pixels):
    covered = np.zeros(pixels.shape[:2], bool)
    for seed in range(300):
        np.random.seed(seed)  # noqa: NPY002
        found = applied("cutout", pixels, 13.33)
        grey = (found == GREY).all(-1)
        assert np.array_equal(found[~grey], pixels[~grey])
        rows, columns = np.flatnonzero(grey.any(1)), np.flatnonzero(grey.any(0))
        assert len(rows) <= 15 and len(columns) <= 15
        assert grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        covered |= grey
    assert covered.mean() > 0.99


def test_the_pipeline_resizes_augments_and_normalises(make_cfg, capsys):
    cfg = make_cfg("INPUT.SIZE", "(32, 32)")
    picture = Image.new("RGB", (20, 40), (200, 10, 90))
    tfm = build_transform(cfg, choices=["randaugment", "normalize"])
    said = capsys.readouterr().out.splitlines()
    assert said[-4].startswith("+ resize to 32x32") and said[-3] == "+ randaugment (n=2, m=10)"
    for seed in range(60):
        random.seed(seed)
        assert tfm(picture).shape == (3, 32, 32)


@pytest.mark.parametrize(("n", "m"), [(-1, 10), (2, 31), (2, -1)])
def test_numbers_that_are_none_are_refused(n, m):
    with pytest.raises(ValueError, match=r"RANDAUGMENT_N -?\d+ must be .*RANDAUGMENT_M"):
        RandAugment(n, m)
