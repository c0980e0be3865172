"""What others put into a report: names with markup in them, and explanations of runs."""

import json

import pytest
from html_page import Page
from multimode_ot.results.report.report import Report
from pictures import png
from report_trees import HOSTILE, explained, finished_run

FEWSHOT = "fewshot/digits/shots_4/CoOp/demo/seed1"


def page_of(output):
    return Page(Report(output).html())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose names are all hostile."""
    place = tmp_path_factory.mktemp("hostile")
    also = {"dataset": HOSTILE[1], "device": HOSTILE[2], "versions": {HOSTILE[0]: "1"}}
    also |= {"classes": HOSTILE, "method": HOSTILE[0], "data_root": place / "data"}
    finished_run(place, FEWSHOT, **also)
    return page_of(place)


def test_hostile_names_are_text(hostile):
    for name in HOSTILE:
        assert " ".join(name.split()) in hostile.text
    assert len(hostile.all("script")) == 1


def test_no_element_is_made_of_a_name(hostile):
    assert all(image["src"].startswith("data:image/") for image in hostile.all("img"))
    assert not any(name.startswith("on") for _, a in hostile.elements for name in a)


def test_their_pictures_and_numbers_are_in_the_page(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    explained(tmp_path / FEWSHOT)
    page = page_of(tmp_path)
    assert "Row sums are flat." in page.text and "0.9877" in page.text
    assert "photo (0.500)" in page.text
    assert "digits/0/0000.png: Map of a class" in page.text
    assert "map of <b>zero</b>" in [image["alt"] for image in page.all("img")]


def test_parts_that_lack_are_left_out(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    (tmp_path / FEWSHOT / "explain").mkdir()
    (tmp_path / FEWSHOT / "explain/explain.json").write_text("{}")
    assert "Explanations" in page_of(tmp_path).text


def test_a_damaged_one_is_named(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    explained(tmp_path / FEWSHOT)
    (tmp_path / FEWSHOT / "explain/explain.json").write_text("{")
    assert "explain.json is damaged" in page_of(tmp_path).text


def test_a_picture_outside_of_its_folder_is_not_taken(tmp_path):
    finished_run(tmp_path, FEWSHOT)
    explained(tmp_path / FEWSHOT)
    file = tmp_path / FEWSHOT / "explain/explain.json"
    (tmp_path / "secret.png").write_bytes((file.parent / "01-map.png").read_bytes())
    content = json.loads(file.read_text())
    content["images"][0]["figures"][0]["file"] = "../" * 7 + "secret.png"
    file.write_text(json.dumps(content))
    assert not any(i["alt"] == "map of <b>zero</b>" for i in page_of(tmp_path).all("img"))


def change(tmp_path, how):
    """The page of a run with an explanation in which something is changed."""
    finished_run(tmp_path, FEWSHOT)
    explained(tmp_path / FEWSHOT)
    file = tmp_path / FEWSHOT / "explain/explain.json"
    content = json.loads(file.read_text())
    how(content, file.with_name("01-map.png"))
    file.write_text(json.dumps(content))
    return page_of(tmp_path)


def link(picture):
    """A link to another picture in its place."""
    picture.rename(picture.parents[6] / "secret.png")
    picture.symlink_to(picture.parents[6] / "secret.png")


def link_folder(picture):
    """A link in the place of the folder."""
    picture.parent.rename(picture.parents[6] / "secret")
    picture.parent.symlink_to(picture.parents[6] / "secret")


@pytest.mark.parametrize(
    "put",
    [
        link,
        link_folder,
        lambda picture: picture.write_text("<svg onload='window.hacked=1'/>"),
        lambda picture: picture.write_bytes(png(50_000, 50_000, 1, 0, bytes(9))),
        lambda picture: picture.unlink(),
    ],
    ids=["link", "folder", "markup", "immense", "missing"],
)
def test_what_is_no_picture_of_its_own_is_counted_not_shown(tmp_path, put):
    page = change(tmp_path, lambda content, picture: put(picture))
    assert "1 pictures are missing there, or are no PNG files of its own." in page.text
    assert not any(i["alt"] == "map of <b>zero</b>" for i in page.all("img"))


@pytest.mark.parametrize("file", [None, "a" * 5000 + ".png", "a\0.png"])
def test_a_name_that_no_file_can_have_is_counted_too(tmp_path, file):
    page = change(tmp_path, lambda c, _: c["images"][0]["figures"][0].update(file=file))
    assert "1 pictures are missing there" in page.text


@pytest.mark.parametrize("part", [{"remarks": 5}, {"images": 5}, {"images": [{"figures": 5}]}])
def test_parts_of_another_kind_are_left_out(tmp_path, part):
    assert "Explanations" in change(tmp_path, lambda content, _: content.update(part)).text
