"""The page of an explanation shows names of any kind, and runs none."""

import json
import os
import shutil

import numpy as np
import pytest
from multimode_ot.commands import main
from PIL import Image

HOSTILE = ["<script>alert(1)<", "${1}_{^0$ a_b^c", "%s {{ 7 * 7 }} {0}"]


@pytest.fixture
def hostile(run, tmp_path):
    """The explanation of a run whose classes and files have such names."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(HOSTILE):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 80, (24 + i, 30, 3), dtype=np.uint8)
            pixels[:, :, k] += 150
            Image.fromarray(pixels).save(folder / f"<b>{i}.png")
    options = (
        "DATASET.NAME",
        "ImageFolder",
        "OPTIM.MAX_EPOCH",
        1,
        "DATASET.NUM_SHOTS",
        1,
        "DATASET.SUBSAMPLE_CLASSES",
        "all",
    )
    run("ALIGN", *options, root=tmp_path / "pictures")
    main(["explain", str(tmp_path / "run"), "--count", "1", "--classes", *HOSTILE])
    return tmp_path / "run" / "explain"


@pytest.mark.long
def test_names_with_markup_are_shown_and_never_run(hostile):
    assert json.loads((hostile / "explain.json").read_text(encoding="utf-8"))["classes"] == sorted(
        HOSTILE
    )
    page = (hostile / "explain.html").read_text(encoding="utf-8")
    assert page.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;alert(1)&lt;" in page and "&lt;b&gt;" in page
    assert "{{ 7 * 7 }}" in page


@pytest.mark.long
@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_a_browser_shows_the_page_without_an_error_or_a_request(hostile, width, scheme):
    chromium = shutil.which("chromium")
    if chromium is None and os.environ.get("CI_RUN") != "1":
        pytest.skip("there is no chromium")
    from playwright.sync_api import sync_playwright

    said, asked = [], []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda each: asked.append(each.url))
        page.goto((hostile / "explain.html").as_uri())
        pictures = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt])")
        wide = page.evaluate("document.documentElement.scrollWidth")
        text = page.inner_text("body")
        browser.close()
    assert said == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
    drawn = [
        f
        for image in json.loads((hostile / "explain.json").read_text(encoding="utf-8"))["images"]
        for f in image["figures"]
    ]
    assert len(pictures) == len(drawn) and all(size > 0 for size, _ in pictures)
    assert [alt for _, alt in pictures] == [figure["alt"] for figure in drawn]
    assert wide <= width
    assert all(name in text for name in HOSTILE)
