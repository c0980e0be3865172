"""A map is drawn on the pixels of the original picture that the network saw there."""

import itertools

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from multimode_ot.explain.overlay import Rectangle, inner_borders, patch_rectangle, seen_rectangle
from PIL import Image

SIZES = [(64, 64), (300, 200), (200, 300), (199, 301), (333, 98), (8, 8), (17, 23), (45, 32)]
GRID = 4


def network_input(pixels, size, mode):
    """What the host's own test transform makes of a picture, as grey levels `(size, size)`."""
    cfg = get_cfg_default()
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION, cfg.INPUT.TRANSFORMS = (size, size), mode, []
    picture = Image.fromarray(pixels).convert("RGB")
    return build_transform(cfg, is_train=False)(picture)[0]


def shares_of_patches(pixels, size, mode):
    """How much of all light fell into each patch of the network's input, and how much light that
    is in pixels of the input."""
    light = network_input(pixels, size, mode)
    step = size // GRID
    patches = light.unfold(0, step, step).unfold(1, step, step).sum((-2, -1)).flatten()
    return patches / max(float(light.sum()), 1e-9), float(light.sum())


def overlap(one, other):
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0.0, width) * max(0.0, height)


def spots(width, height):
    """Small squares all over a picture."""
    side = max(1, min(width, height) // 12)
    across = [range(0, edge - side + 1, max(1, (edge - side) // 5)) for edge in (width, height)]
    for x, y in itertools.product(*across):
        yield Rectangle(x, y, x + side, y + side)


@pytest.mark.parametrize("size", [32, 56])
@pytest.mark.parametrize("width, height", SIZES)
def test_each_patch_s_rectangle_holds_the_pixels_that_fell_into_the_patch(width, height, size):
    seen = seen_rectangle(width, height, size)
    rectangles = [patch_rectangle(seen, GRID, GRID, p) for p in range(GRID * GRID)]
    inside = 0
    for spot in spots(width, height):
        pixels = np.zeros((height, width), np.uint8)
        pixels[int(spot.top) : int(spot.bottom), int(spot.left) : int(spot.right)] = 255
        found, light = shares_of_patches(pixels, size, "bilinear")
        area = spot.width * spot.height
        covered = torch.tensor([overlap(spot, rectangle) for rectangle in rectangles])
        share_seen = float(covered.sum()) / area
        # What the network saw of the spot is what lies in the rectangle, on its own scale.
        scale = (size / seen.width) * (size / seen.height)
        assert light == pytest.approx(share_seen * area * scale, rel=0.35, abs=0.6 * scale)
        if share_seen < 1:
            continue
        patch = int(found.argmax())
        assert covered[patch] == covered.max()
        if found[patch] > 0.999:
            inside += 1
            assert covered[patch] >= 0.95 * area
    assert inside >= 4


@pytest.mark.parametrize("width, height", SIZES)
def test_what_is_dimmed_is_what_the_network_cannot_see(width, height):
    seen, size = seen_rectangle(width, height, 32), 32
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    out = (columns < seen.left - 1) | (columns > seen.right + 1)
    out |= (rows < seen.top - 1) | (rows > seen.bottom + 1)
    assert network_input(np.where(out, 255, 0).astype(np.uint8), size, "nearest").max() == 0
    shown = network_input(np.where(out, 0, 255).astype(np.uint8), size, "nearest")
    assert shown.min() == 1
    assert out.any() == (max(width, height) > min(width, height) + 4)


@pytest.mark.parametrize("width, height", SIZES)
def test_the_rectangle_lies_in_the_picture_and_spans_its_shorter_edge(width, height):
    seen = seen_rectangle(width, height, 224)
    assert seen.left >= 0 and seen.top >= 0
    assert seen.right <= width + 1e-9 and seen.bottom <= height + 1e-9
    shorter = seen.width if width <= height else seen.height
    assert shorter == pytest.approx(min(width, height))


def test_patches_tile_what_was_seen_row_by_row():
    seen = Rectangle(10, 20, 30, 60)
    tiles = [patch_rectangle(seen, 2, 4, p) for p in range(8)]
    assert tiles[0] == (10, 20, 15, 40) and tiles[3] == (25, 20, 30, 40)
    assert tiles[7] == (25, 40, 30, 60)
    assert sum(t.width * t.height for t in tiles) == pytest.approx(seen.width * seen.height)
    assert inner_borders(seen, 2, 4) == ([15, 20, 25], [40])


@pytest.mark.parametrize("width, height", SIZES)
def test_of_a_squashed_picture_each_patch_lies_where_its_pixels_came_from(width, height):
    from multimode_ot.training.transforms import test_transform as evaluation

    inp = get_cfg_default().INPUT
    inp.SIZE, inp.RESIZE_MODE, inp.INTERPOLATION = (32, 32), "squash", "bilinear"
    seen = seen_rectangle(width, height, 32, "squash")
    assert seen == (0, 0, width, height)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    for patch in range(GRID * GRID):
        box = patch_rectangle(seen, GRID, GRID, patch)
        inside = (columns > box.left) & (columns < box.right)
        inside &= (rows > box.top) & (rows < box.bottom)
        picture = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).convert("RGB")
        light = evaluation(inp)(picture)[0].unfold(0, 8, 8).unfold(1, 8, 8).sum((-2, -1)).flatten()
        assert int(light.argmax()) == patch and light[patch] > 0.6 * light.sum()
