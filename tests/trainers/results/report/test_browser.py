"""A report in a browser: no faults and no requests, tables that sort, charts with their numbers,
and a page that fits a phone, the dark and paper."""

import json
import os
import re
import shutil
from urllib.parse import urlparse

import pytest
from multimode_ot.commands import main
from multimode_ot.commands.compare import table
from report_trees import DIGITS, HOSTILE, everything, finished_run
from result_trees import base2new

pytestmark = pytest.mark.long
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None and os.environ.get("CI_RUN") != "1":
        pytest.skip("there is no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Runs of all kinds, with hostile names of classes and of a method."""
    place = tmp_path_factory.mktemp("runs")
    everything(place / "output", place / "data", classes=(*HOSTILE, *DIGITS[:3]))
    hostile = {"device": HOSTILE[2], "versions": {HOSTILE[1]: "1"}, "shots": 4}
    finished_run(
        place / "output", "fewshot/digits/shots_4/own/demo/seed1", HOSTILE[0],
        classes=(*HOSTILE, *DIGITS[:3]), **hostile,
    )  # fmt: skip
    return place / "output"


@pytest.fixture(scope="module")
def report(tree):
    out = tree.parent / "report.html"
    main(["report", str(tree), "--out", str(out)])
    return out


@pytest.fixture
def page(browser, report, request):
    """The report in a window; what it says on the console or asks for ends the test."""
    options = getattr(request, "param", {})
    page = browser.new_page(**({"viewport": {"width": 1280, "height": 900}} | options))
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda each: asked.append(each.url))
    page.goto(report.as_uri())
    yield page
    page.wait_for_timeout(50)
    page.close()
    assert said == []
    assert [url for url in asked if urlparse(url).scheme != "data"] == [report.as_uri()]


def window(**options):
    return pytest.mark.parametrize("page", [options], indirect=True, ids=[""])


def column(page, number):
    """The texts of a column of the first table."""
    rows = page.locator("table.sortable").first.locator("tbody tr")
    return [rows.nth(i).locator("th, td").nth(number).inner_text() for i in range(rows.count())]


def test_it_opens_without_a_fault_or_a_request(page):
    assert page.title().startswith("Report on ")
    assert page.locator("h2").count() == 5


def test_the_table_is_that_of_compare(page, tree):
    printed = table([str(tree)]).split("\n\n")[0].splitlines()[2:]
    wanted = [re.split(r" {2,}", line) for line in printed]
    assert [column(page, i) for i in range(4)] == [list(c) for c in zip(*wanted, strict=True)]


def test_a_click_sorts_and_says_how(page):
    heading = page.locator("table.sortable").first.locator("th[data-column='2']")
    as_written = column(page, 0)
    assert heading.get_attribute("aria-sort") == "none"
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    values = [float(text.split()[0]) for text in column(page, 2)]
    assert values == sorted(values, reverse=True)
    assert column(page, 0) != as_written
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in column(page, 2)] == values[::-1]
    page.locator("table.sortable").first.locator("th[data-column='0'] button").click()
    assert column(page, 0) == sorted(as_written, key=str.lower)
    assert heading.get_attribute("aria-sort") == "none"


def test_the_keyboard_sorts_too(page):
    button = page.locator("table.sortable").first.locator("th[data-column='1'] button")
    button.focus()
    page.keyboard.press("Enter")
    first = column(page, 1)
    page.keyboard.press("Space")
    assert column(page, 1) == first[::-1]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('th').dataset.column") == "2"


def test_what_is_missing_stays_last_in_both_directions(page):
    page.evaluate(
        "() => { const cell = document.querySelector('table.sortable tbody tr td:nth-child(3)');"
        "delete cell.dataset.value; cell.textContent = 'missing'; }"
    )
    button = page.locator("table.sortable").first.locator("th[data-column='2'] button")
    for _ in range(2):
        button.click()
        assert column(page, 2)[-1] == "missing"


def test_every_chart_is_there_with_its_numbers(page, tree):
    charts = page.locator("figure.chart")
    assert charts.count() > 20
    for i in range(charts.count()):
        chart = charts.nth(i)
        assert chart.locator("svg path").count() > 3
        assert chart.locator("svg desc").text_content().strip()
        assert chart.locator("table.data tbody tr").count() >= 1
    bars = charts.filter(has_text="harmonic mean H").first
    place = "base2new/{}/digits/shots_16/ALIGN/demo/seed1/results.json"
    for folder in ("train_base", "test_new"):
        result = json.loads((tree / place.format(folder)).read_text())
        shown = f"{result['accuracy']:.2f}"
        assert shown in bars.locator("svg").text_content()
        assert shown in bars.locator("tr", has_text="ALIGN").text_content()


def test_learning_curves_have_the_terms_of_the_log(page, tree):
    chart = page.locator("figure.chart", has_text="text_consistency").first
    words = chart.locator("thead").text_content()
    assert words == "epochlosscross_entropytext_consistencyacc"
    last = chart.locator("tbody tr").last.text_content()
    assert last == "50.20000.20000.200098.0000"


def test_the_confusion_matrix_counts_every_image(page, tree):
    matrix = page.locator("table.matrix").first
    cells = matrix.locator("tbody td")
    assert sum(int(cells.nth(i).text_content()) for i in range(cells.count())) == 40


def test_hostile_names_are_text(page):
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 1
    assert page.locator("img:not([src^='data:image/'])").count() == 0
    content = page.evaluate("document.body.textContent")
    assert all(name in content for name in HOSTILE)
    axis = page.locator("svg text", has_text="<img src=x").first
    assert axis.count() == 1


def test_a_name_of_another_direction_turns_no_number(browser, tmp_path):
    place = "fewshot/digits/shots_4/CoOp/demo/seed1"
    names = ("\u202ezero", "\u05d0\u05d7\u05ea", "\u0627\u062b\u0646\u0627\u0646")
    finished_run(tmp_path, place, classes=names)
    main(["report", str(tmp_path), "--out", str(tmp_path / "r.html")])
    page = browser.new_page()
    page.goto((tmp_path / "r.html").as_uri())
    open_all(page)
    left_of = """(item) => { const name = item.querySelector('bdi'), range = new Range();
        range.selectNode(item.lastChild);
        return name.getBoundingClientRect().right <= range.getBoundingClientRect().left + 1; }"""
    items = page.locator(".examples li").all()
    assert items and all(item.evaluate(left_of) for item in items)
    page.close()


def wait_until(page, expression, value):
    """Ask until the answer is right; the page's policy lets no library do so."""
    for _ in range(100):
        if page.evaluate(expression) == value:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} is {page.evaluate(expression)}, not {value}")


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@window(viewport=PHONE, is_mobile=True, has_touch=True)
def test_nothing_is_wider_than_a_phone(page):
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate(
        "[...document.querySelectorAll('svg')].every((each) => "
        "each.getBoundingClientRect().right <= innerWidth || each.closest('.scroll'))"
    )


CONTRAST = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    below.map((v, i) => (i < 3 ? top[3] * top[i] + (1 - top[3]) * v : 1));
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const p = c[i] / 255;
    return sum + w * (p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (each) => {
    const layers = [];
    for (let e = each; e; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || each.closest('script, title, desc')) continue;
    const style = getComputedStyle(each);
    const back = behind(each);
    const front = over(rgba(each.closest('svg') ? style.fill : style.color), back);
    const [a, b] = [luminance(front), luminance(back)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(walker.currentNode.data.trim().slice(0, 30));
  }
  return poor;
}
"""


@pytest.mark.parametrize(
    "page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=str
)
def test_every_text_has_contrast(page, request):
    open_all(page)
    dark = request.node.callspec.params["page"]["color_scheme"] == "dark"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 128) == dark
    assert page.evaluate(CONTRAST) == []


def test_on_paper_everything_is_open_and_on_the_screen_as_it_was(page):
    hidden = "document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(hidden)
    assert before > 20
    page.emulate_media(media="print")
    wait_until(page, hidden, 0)
    unseen = page.evaluate(
        "[...document.querySelectorAll('details td, details pre, details img, details p')]"
        ".filter((each) => !each.checkVisibility() || !each.getClientRects().length).length"
    )
    assert unseen == 0
    page.emulate_media(media="screen")
    wait_until(page, hidden, before)


def test_no_table_is_wider_than_paper(browser, tmp_path):
    for dataset in ("Pets", "Cars", "Digits", "Flowers"):
        for seed in (1, 2):
            for subset in ("base", "new"):
                given = {"dataset": dataset, "seed": seed, "accuracy": 20.0 * seed}
                base2new(tmp_path, "CoOp", subset, **given)
    main(["report", str(tmp_path), "--out", str(tmp_path / "r.html")])
    page = browser.new_page(viewport={"width": 718, "height": 1000})  # A4 within its margins
    page.goto((tmp_path / "r.html").as_uri())
    assert not page.locator("table.sheet").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator("table.sheet").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    page.close()


def test_a_link_into_a_closed_part_opens_it(page):
    chart = page.locator("details.run figure.chart").last
    assert not chart.is_visible()
    page.evaluate("(name) => { location.hash = name; }", chart.get_attribute("id"))
    chart.wait_for(state="visible")
