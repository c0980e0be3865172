"""Maps are drawn on the pixels that were seen."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from multimode_ot.explain import figures
from multimode_ot.explain.canvas import Seen
from multimode_ot.explain.figures import Panel, draw_maps, draw_matrices, draw_picture, shown
from multimode_ot.explain.overlay import patch_rectangle, seen_rectangle
from PIL import Image


def oblong(width=300, height=120, grid=(4, 4)):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
    return Seen(picture, seen_rectangle(width, height, 32), grid)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were written."""
    written, save = [], Figure.savefig

    def keep(self, *args, **kwargs):
        written.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return written


def maps_of(figure, grid):
    """The maps in a figure, with their axes."""
    images = [(axes, image) for axes in figure.axes for image in axes.images]
    return [(a, i) for a, i in images if np.shape(i.get_array())[:2] == grid]


@pytest.mark.parametrize("width, height", [(300, 120), (97, 201), (8, 8), (4000, 3000)])
@pytest.mark.parametrize("side", [7, 14])
def test_a_patch_is_drawn_on_its_rectangle_of_the_original(width, height, side, drawn, tmp_path):
    seen = oblong(width, height, (side, side))
    values = np.arange(side * side, dtype=float)
    draw_maps(tmp_path / "maps.png", seen, [[Panel(values)]], "label")
    ((axes, image),) = maps_of(drawn[0], (side, side))
    assert axes.get_xlim() == (0, width) and axes.get_ylim() == (height, 0)
    left, right, bottom, top = image.get_extent()
    for patch in (0, side - 1, side * side // 2, side * side - 1):
        box = patch_rectangle(seen.rectangle, side, side, patch)
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        column = int((x - left) / (right - left) * side)
        row = int((y - top) / (bottom - top) * side)
        assert image.get_array()[row, column] == values[patch]


def test_the_pixels_of_the_file_show_the_map_where_it_lies(drawn, tmp_path):
    seen = oblong(120, 120)
    values = np.zeros(16)
    values[6] = 1  # second row, third column
    draw_maps(tmp_path / "maps.png", seen, [[Panel(values)]], "label")
    pixels = np.asarray(Image.open(tmp_path / "maps.png").convert("RGB"), float)
    ((axes, _),) = maps_of(drawn[0], (4, 4))

    def colour_at(x, y):
        column, row = axes.transData.transform((x, y))
        return pixels[len(pixels) - 1 - round(row), round(column)]

    warmth = np.array(
        [[np.ptp(colour_at(15 + 30 * c, 15 + 30 * r)[[0, 2]]) for c in range(4)] for r in range(4)]
    )
    assert np.unravel_index(warmth.argmax(), warmth.shape) == (1, 2)


def test_all_maps_of_a_figure_have_one_scale_and_its_bar_says_it(drawn, tmp_path):
    panels = [[Panel(np.full(16, 1.0)), Panel(np.full(16, 3.0))], [Panel(np.full(16, 0.2))]]
    draw_maps(tmp_path / "maps.png", oblong(), panels, "mass", mark=1.0)
    scales = {image.get_clim() for _, image in maps_of(drawn[0], (4, 4))}
    assert scales == {(0.0, 3.0)}
    assert drawn[0].axes[-1].get_ylabel() == "mass"


def test_a_scale_of_both_signs_has_zero_in_its_middle(drawn, tmp_path):
    draw_maps(tmp_path / "maps.png", oblong(), [[Panel(np.linspace(-0.1, 0.4, 16))]], "share")
    ((_, image),) = maps_of(drawn[0], (4, 4))
    assert image.norm(0.0) == 0.5 and image.get_clim() == (-0.4, 0.4)


def test_what_was_not_seen_is_dimmed_and_what_was_is_as_it_is():
    seen = oblong()
    original = np.asarray(seen.original, float)
    left, right = round(seen.rectangle.left), round(seen.rectangle.right)
    assert (seen.picture[:, left + 1 : right - 1] == original[:, left + 1 : right - 1]).all()
    assert seen.picture[:, : left - 1].std() < 0.25 * original[:, : left - 1].std()
    assert not seen.lines[:, : round(seen.lines.shape[1] * left / 300) - 1, 3].any()


def test_large_pictures_are_drawn_smaller():
    seen = oblong(4000, 1000)
    assert seen.picture.shape == (120, 480, 3) and seen.size == (4000, 1000)


def test_a_plan_s_numbers_stand_in_their_cells(drawn, tmp_path):
    plan = np.array([[0.3, 0.2], [0.1, 0.15], [0.05, 0.2]])
    draw_matrices(tmp_path / "plan.png", [("$a_{b$", plan), ("b", plan)], "mass", ("M", "N"))
    texts = {t.get_text(): t.get_position() for t in drawn[0].axes[0].texts}
    assert texts[".1500"] == (1, 1) and texts[".0500"] == (0, 2)
    assert drawn[0].axes[0].get_title() == "$a_{b$"
    assert drawn[0].axes[0].images[0].get_clim() == (0, pytest.approx(1 / 3))


def test_the_settings_of_whoever_calls_are_neither_used_nor_changed(tmp_path, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 40.0)
    draw_picture(tmp_path / "one.png", oblong())
    assert matplotlib.rcParams["text.usetex"] and matplotlib.rcParams["font.size"] == 40
    matplotlib.rcParams.update({"text.usetex": False, "font.size": 10})
    draw_picture(tmp_path / "other.png", oblong())
    one, other = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("one", "other"))
    assert (one == other).all()


def test_names_are_shown_on_one_line_and_not_too_long():
    assert shown("a\nb\t c\x00") == "a b c"
    assert len(shown("x" * 100)) == figures.LONGEST and shown("x" * 100).endswith("…")
