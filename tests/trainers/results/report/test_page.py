"""A page in one file: what is inserted is text, and nothing is fetched."""

import base64
import configparser
import fnmatch
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from multimode_ot.results.report.page import TEMPLATES, inline_image, render

CHECKOUT = Path(__file__).resolve().parents[4]
HOSTILE = "<img src=x onerror=alert(1)></script>\"'&"


@pytest.fixture
def template(tmp_path):
    """A page of another room, which extends the base."""
    file = tmp_path / "own.html"
    file.write_text(
        '{% extends "base.html" %}{% from "parts.html" import picture %}'
        '{% block content %}<p title="{{ word }}">{{ word }}</p>'
        "{{ picture(source, word) }}{% endblock %}"
    )
    return file


def test_a_page_elsewhere_extends_the_base(template):
    page = render(template, title="Words", word="plain", source=inline_image(b"x"))
    assert page.startswith("<!doctype html>")
    assert "<title>Words</title>" in page and "<p" in page and "<style>" in page


def test_whatever_is_inserted_is_text(template):
    page = render(template, title=HOSTILE, word=HOSTILE, source=inline_image(b"x"))
    assert "<img src=x" not in page
    assert page.count("</script>") == 1 and page.count("&lt;/script&gt;") == 5


def test_what_lies_in_the_working_folder_is_no_template(template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.html").write_text("something else")
    assert "something else" not in render("base.html", title="t")


def test_only_the_script_of_the_page_may_run(template):
    page = render(template, title="t", word="w", source=inline_image(b"x"))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page and "default-src 'none'" in page


def test_names_that_no_encoding_writes_are_escaped(template):
    page = render(template, title="t", word="caf\udce9", source="")
    assert r"caf\udce9" in page
    page.encode("utf-8")


def test_a_missing_package_is_named_with_the_way_to_install_it():
    program = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from multimode_ot.results.report.page import render\n"
        "try:\n    render('base.html', title='t')\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert said == (
        'a page needs Jinja2, which is not installed: pip install "multimode-ot[report]"\n'
    )


def test_the_templates_are_part_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    patterns = setup["options.package_data"]["multimode_ot"].split()
    for file in TEMPLATES.iterdir():
        name = file.relative_to(CHECKOUT / "trainers/multimode_ot").as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
