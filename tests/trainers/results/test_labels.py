"""Labels as a table, CSV or JSON: any text in them, and one row at a time."""

import csv
import io
import json

import pytest
from multimode_ot.results.labels import FORMS, Labelled, Labels, printable

NAMES = ["cat", 'a "very", long\nname', "été"]
PATHS = ["a.png", "b,\n\x1b[1m.png", "\udcff\udc80.png", " c .png"]


def labels_of(rows, **more):
    return Labels(rows, 2, max(len(printable(path)) for path in PATHS), NAMES, **more)


def rows():
    return [
        Labelled(path, [(NAMES[i % 3], 0.75), (NAMES[(i + 1) % 3], 0.25)])
        for i, path in enumerate(PATHS)
    ]


def text(form, **more):
    return "".join(FORMS[form](labels_of(rows(), **more)))


def test_csv_gives_every_field_back():
    found = list(csv.reader(io.StringIO(text("csv"), newline="")))
    assert found[0] == ["path", "class", "confidence", "class_2", "confidence_2"]
    assert found[1:] == [
        [path, classes[0][0], "0.750000", classes[1][0], "0.250000"] for path, classes in rows()
    ]


def test_json_gives_every_field_back_and_is_utf_8():
    found = text("json", about={"method": "été", "classes": NAMES}, unreadable=[("x", "broken")])
    content = json.loads(found.encode())
    assert content["method"] == "été" and content["classes"] == NAMES
    assert content["unreadable"] == [{"path": "x", "reason": "broken"}]
    assert [(row["path"], row["classes"][0]["class"]) for row in content["pictures"]] == [
        (path, classes[0][0]) for path, classes in rows()
    ]


def test_json_without_a_row_or_a_word_about_it_is_json():
    assert json.loads("".join(FORMS["json"](labels_of([])))) == {"pictures": [], "unreadable": []}


def test_columns_of_a_table_stand_below_each_other_whatever_is_in_them():
    lines = text("table", notes=["so it is"]).splitlines()
    assert len(lines) == 2 + len(PATHS) + 2 and lines[-1] == "so it is"
    starts = [lines[0].index(name) for name in ("class ", "confidence ", "class_2", "confidence_2")]
    for line, (path, classes) in zip(lines[2:6], rows(), strict=True):
        (one, p), (other, q) = classes
        cells = [printable(one), f"{p:.4f}", printable(other), f"{q:.4f}"]
        assert line.startswith(printable(path) + "  ")
        for start, cell in zip(starts, cells, strict=True):
            assert line[start - 2 :].startswith(f"  {cell}")
    assert r"b,\n\x1b[1m.png" in lines[3] and r"\udcff\udc80.png" in lines[4]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_is_written_before_the_next_is_asked_for(form):
    asked = []

    def slow():
        for row in rows():
            asked.append(row.path)
            yield row

    written = []
    for piece in FORMS[form](labels_of(slow(), about={"method": "CoOp"})):
        written.append(piece)
        assert len(asked) <= sum("0.75" in piece for piece in written) + 1
    assert asked == PATHS
