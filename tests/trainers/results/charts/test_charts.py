"""Charts as part of a page and as files: their numbers, their marks, and names in them."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from multimode_ot.results.calibration import Bin
from multimode_ot.results.charts.comparison import TOGETHER, bars, curves
from multimode_ot.results.charts.cost import NAMED, cost
from multimode_ot.results.charts.runs import calibration_curve, learning_curves
from multimode_ot.results.charts.style import COLOURS, drawing, styles
from multimode_ot.results.charts.svg import inline_svg, save, unknown_letters
from multimode_ot.results.grid import Cell, Column, Grid
from multimode_ot.results.log import Epochs

HOSTILE = "</text><script>x</script> $a_1$ \x07"


def base_new_grid(methods=("CoOp", "ALIGN"), **costs):
    cells = {}
    for i, method in enumerate(methods):
        for shift, metric in enumerate(("base", "new", "H")):
            values = {1: 60.0 + i + shift, 2: 62.0 + i + shift}
            cells[method, Column("Pets", metric)] = Cell(values)
        for measure, values in costs.items():
            cells[method, Column("Pets", "", measure)] = Cell({1: values[i]})
    columns = [Column("Pets", m) for m in ("base", "new", "H")]
    return Grid(list(methods), columns, cells, "note")


def shots_grid(count, shots=("1 shots", "4 shots", "all images")):
    methods = [f"M{i}" for i in range(count)]
    columns = [Column("Pets", name) for name in shots]
    cells = {
        (m, c): Cell({1: 50.0 + i + j, 2: 52.0 + i + j})
        for i, m in enumerate(methods)
        for j, c in enumerate(columns)
    }
    return Grid(methods, columns, cells, "note")


def texts(svg):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("text")]


def test_bars_have_their_values_beside_them_and_in_the_table():
    chart = bars(base_new_grid(), "Pets")
    assert chart.rows[1] == ["ALIGN", "62.00 ± 1.00", "63.00 ± 1.00", "64.00 ± 1.00"]
    shown = texts(inline_svg(chart, "c1"))
    assert {"CoOp", "ALIGN", "61.00", "62.00", "64.00", "base", "new", "H"} <= set(shown)


def test_bars_are_as_long_as_their_values():
    (axes,) = bars(base_new_grid(), "Pets").figure.axes
    assert sorted(bar.get_width() for bar in axes.patches) == pytest.approx(
        [61, 62, 62, 63, 63, 64]
    )


def test_base_new_and_h_differ_without_colour():
    (axes,) = bars(base_new_grid(), "Pets").figure.axes
    looks = {(bar.get_hatch(), bar.get_facecolor() == bar.get_edgecolor()) for bar in axes.patches}
    assert len(looks) == 3


def test_a_missing_cell_says_so_in_its_place():
    grid = base_new_grid()
    del grid.cells["CoOp", Column("Pets", "new")]
    chart = bars(grid, "Pets")
    assert chart.rows[0][2] == "missing"
    assert texts(inline_svg(chart, "c1")).count("missing") == 1


def test_curves_lie_at_the_number_of_shots_and_all_images_come_last():
    (axes,) = curves(shots_grid(2), "Pets").figure.axes
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.0, 2.0, 3.0]] * 2
    assert axes.lines[0].get_ydata().tolist() == [51.0, 52.0, 53.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "4", "all images"]


def test_bands_are_the_spread():
    (axes,) = curves(shots_grid(1), "Pets").figure.axes
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (50.0, 54.0)


def test_series_differ_in_marker_and_line():
    found = styles(TOGETHER)
    assert len({(s["marker"], str(s["linestyle"])) for s in found}) == TOGETHER


def test_many_methods_have_an_axis_each():
    chart = curves(shots_grid(TOGETHER + 1), "Pets")
    assert chart.wide
    titles = [axes.get_title(loc="left") for axes in chart.figure.axes if axes.get_visible()]
    assert titles == [f"M{i}" for i in range(TOGETHER + 1)]


def test_cost_is_on_a_logarithmic_axis_with_zero_at_its_left():
    grid = base_new_grid(("ZeroshotCLIP", "CoOp", "ALIGN"), trained_parameters=[0, 100, 10000])
    (axes,) = cost(grid, "Pets", "trained_parameters").figure.axes
    x = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert x[1:] == [2.0, 4.0] and x[0] < 2.0
    assert axes.get_xticklabels()[0].get_text() == "0"


def test_names_of_many_points_are_listed_below():
    names = [f"method {i}" for i in range(NAMED + 1)]
    grid = base_new_grid(names, seconds=[1.0 + i for i in range(NAMED + 1)])
    shown = texts(inline_svg(cost(grid, "Pets", "seconds"), "c1"))
    assert "11" in shown and any(re.fullmatch(r"11\s+method 10", text) for text in shown)


def test_a_chart_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no result on Pets has both seconds and H"):
        cost(base_new_grid(), "Pets", "seconds")


class TestInline:
    def test_names_are_text_whatever_is_in_them(self):
        svg = inline_svg(bars(base_new_grid((HOSTILE, "CoOp")), "Pets"), "c1")
        assert "<script" not in svg and "\x07" not in svg
        chart = replace(bars(base_new_grid(), "Pets"), title=HOSTILE, alt=HOSTILE)
        ElementTree.fromstring(inline_svg(chart, "c1"))  # which knows no control characters
        assert "$a_1$" in "".join(ElementTree.fromstring(svg).itertext())

    def test_ids_begin_with_the_charts_and_are_all_there(self):
        svg = inline_svg(bars(base_new_grid(), "Pets"), "c7")
        ids = re.findall(r' id="([^"]+)"', svg)
        assert len(ids) == len(set(ids)) and all(name.startswith("c7-") for name in ids)
        used = re.findall(r"url\(#([^)]+)\)", svg) + re.findall(r'href="#([^"]+)"', svg)
        assert used and set(used) <= set(ids)

    def test_colours_are_the_pages(self):
        svg = inline_svg(curves(shots_grid(3), "Pets"), "c1")
        assert "var(--s1)" in svg and "var(--ink)" in svg
        assert not set(re.findall(r"#[0-9a-f]{6}\b", svg))

    def test_it_brings_no_style_sheet_and_no_foreign_address(self):
        svg = inline_svg(bars(base_new_grid(), "Pets"), "c1")
        assert "<style" not in svg and "http" not in svg and "font-family" not in svg


def test_text_of_both_schemes_has_contrast(root_variables):
    for variables in root_variables:
        for name in ("ink", "muted", "accent"):
            assert contrast(variables[name], variables["paper"]) >= 4.5, name
            assert contrast(variables[name], variables["raised"]) >= 4.5, name
        for name in (n for n in COLOURS if n.startswith("s")):
            assert contrast(variables[name], variables["paper"]) >= 3, name


@pytest.fixture
def root_variables():
    from multimode_ot.results.report.page import TEMPLATES

    sheet = (TEMPLATES / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)[:2]
    return [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in blocks]


def contrast(one, other):
    """WCAG 2's ratio of relative luminances."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "ending, start", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_file_is_of_its_kind_and_the_same_each_time(tmp_path, ending, start):
    chart = bars(base_new_grid(), "Pets")
    first = save(chart, tmp_path / f"a.{ending}").read_bytes()
    assert first.startswith(start)
    assert save(bars(base_new_grid(), "Pets"), tmp_path / f"a.{ending}").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == [f"a.{ending}"]


def narrow(chart):
    """Whether all of it is on the paper where values have five letters."""
    for axes in chart.figure.axes:
        axes.set_ylim(82.87, 82.95)
    box = chart.figure.get_tightbbox()
    return box.x0 >= 0 and box.y0 >= 0


def test_no_label_is_cut_where_numbers_are_long():
    with drawing():
        assert narrow(cost(base_new_grid(seconds=[1.0, 2.0]), "Pets", "seconds"))
        assert narrow(curves(shots_grid(2), "Pets"))
        assert narrow(curves(shots_grid(TOGETHER + 1), "Pets"))
        bins = [Bin(0.0, 100.0, 50_000, 70.0, 60.0)]
        assert calibration_curve(bins, "M", 1.0).figure.get_tightbbox().x0 >= 0


def test_epochs_are_whole_numbers_and_a_single_one_is_a_point():
    axes = learning_curves(Epochs({1: {"loss": 1.0}, 2: {"loss": 0.5}}), "M").figure.axes[0]
    assert all(tick == round(tick) for tick in axes.get_xticks())
    for each in learning_curves(Epochs({1: {"loss": 1.0, "acc": 50.0}}), "M").figure.axes:
        assert each.lines[0].get_marker() == "o"


def test_letters_that_the_font_lacks_are_named():
    assert unknown_letters(bars(base_new_grid(("方法", "CoOp é")), "Pets")) == "方法"
    assert unknown_letters(bars(base_new_grid(), "Pets")) == ""
