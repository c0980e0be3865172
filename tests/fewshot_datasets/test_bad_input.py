"""Files that users write by hand, and consoles: read if the meaning is clear, else one line."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import READERS, DatasetError
from fewshot_datasets.check import check, main
from fewshot_datasets.command_line import run
from fewshot_datasets.files import read_lines, say
from fewshot_datasets.splits import Record, Split, fingerprint, read_split

A = ["a/0.jpg", 0, "a"]


def write(path: Path, train: list, test: list | None = None) -> Path:
    content = {"train": train, "val": [], "test": [["a/1.jpg", 0, "a"]] if test is None else test}
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def pictures(tmp_path) -> Path:
    for folder in "ab":
        miniature.write_images(tmp_path / folder, [f"{i}.jpg" for i in range(4)])
    return tmp_path


@pytest.mark.parametrize(
    "written", ["./a/0.jpg", "a\\0.jpg", ".\\a\\0.jpg", "a//0.jpg", "a/./0.jpg"]
)
def test_one_path_has_one_spelling_after_reading(written, tmp_path):
    split = read_split(write(tmp_path / "splits.json", [[written, 0, "a"]]))
    assert split.train == [Record("a/0.jpg", 0, "a")]


@pytest.mark.parametrize(
    "written",
    ["/a.jpg", "\\a.jpg", "\\\\server\\a.jpg", "C:\\a.jpg", "c:/a.jpg", "C:a.jpg", "..\\a.jpg"]
    + ["a/../../b.jpg", "", ".", "./", "a\0b.jpg"],
)
def test_a_path_that_leads_out_or_names_nothing_is_refused(written, tmp_path):
    with pytest.raises(DatasetError, match=r"entry 0 of 'train': .* is not a path below"):
        read_split(write(tmp_path / "splits.json", [[written, 0, "a"]]))


@pytest.mark.parametrize("label", [True, False, 1.5, 0.0, None, "one", "-1", "0x1", "²", " 0", [0]])
def test_a_label_that_is_no_whole_number_is_refused_by_name(label, tmp_path):
    with pytest.raises(DatasetError) as error:
        read_split(write(tmp_path / "splits.json", [["a/0.jpg", label, "a"]]))
    assert f"the label {label!r} is no whole number" in str(error.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (["a/0.jpg", 0, ""], "the class name is empty"),
        (["a/0.jpg", 0, " \t"], "the class name is empty"),
        (["a/0.jpg", 0, 5], "path and name are texts"),
        ({"path": 0, "label": 0, "name": 0}, "expected .relative path"),
        ("a0a", "expected .relative path"),
    ],
)
def test_an_entry_of_another_form_is_refused(entry, message, tmp_path):
    with pytest.raises(DatasetError, match=message):
        read_split(write(tmp_path / "splits.json", [entry]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train": [], "train": [], "val": [], "test": []}', "has the key 'train' twice"),
        ('{"train": [["a", NaN, "a"]], "val": [], "test": []}', "NaN is no JSON number"),
        ('{"train": [["a", -Infinity, "a"]]}', "-Infinity is no JSON number"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("9" * 5_000, "splits.json"),
        ("", r"is not JSON \(line 1"),
    ],
)
def test_what_the_json_standard_does_not_have_is_refused(text, message, tmp_path):
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_split(tmp_path / "splits.json")


def test_a_byte_order_mark_is_read_over_in_every_text_file(pictures, load):
    mark = "\ufeff"
    path = write(pictures / "splits.json", [A, ["b/0.jpg", 1, "b"]])
    path.write_text(mark + path.read_text(), encoding="utf-8")
    (pictures / "classnames.json").write_text(mark + '{"./a/": "ä"}', encoding="utf-8")
    assert load("image_folder", pictures).classnames == ["ä", "b"]
    (pictures / "lines.txt").write_text(mark + "first\n", encoding="utf-8")
    assert read_lines(pictures / "lines.txt") == ["first"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_text_in_another_encoding_is_named(encoding, tmp_path):
    (tmp_path / "lines.txt").write_text("é", encoding=encoding)
    with pytest.raises(DatasetError, match=r"lines\.txt is not UTF-8 text"):
        read_lines(tmp_path / "lines.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": " "}', "class name of 'a' is empty"),
        ('{"a": "x", "a/": "y"}', "the folder 'a' is there twice"),
        ('{"a": "x", "a": "y"}', "has the key 'a' twice"),
        ('{"../a": "x"}', "'../a' is not the name of a folder"),
        ('{"a": null}', "expected an object of folder names and class names"),
        ('{"a": "\\ud800"}', "is not valid Unicode"),
    ],
)
def test_a_wrong_name_in_classnames_json_is_refused(content, message, pictures, load):
    (pictures / "classnames.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        load("image_folder", pictures)


def test_a_class_name_that_is_no_text_is_refused_in_raw_annotations_too(tmp_path, load):
    directory = miniature.build("oxford_flowers", tmp_path)
    (directory / "cat_to_name.json").write_text('{"1": 5, "2": "b", "3": "c"}')
    with pytest.raises(DatasetError, match="label 0 has the class name 5, no text"):
        load("oxford_flowers", tmp_path)


@pytest.mark.parametrize("config", ["dtd", "image_folder", "digits"])
def test_a_root_that_is_a_file_is_named(config, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["--root", str(tmp_path / "file"), config])
    assert ended.value.code == 2
    assert f"error: --root {tmp_path}/file is a file" in capsys.readouterr().err
    (finding,) = check([config], str(tmp_path / "file"))
    assert finding.problems[0].startswith("not a directory: ")


def test_a_file_that_cannot_be_read_is_named(pictures, monkeypatch):
    write(pictures / "splits.json", [A])

    def refuse(self, encoding):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    (finding,) = check(["image_folder"], str(pictures))
    assert finding.problems == [f"cannot read {pictures}/splits.json (Permission denied)"]


def test_an_image_that_no_file_can_be_is_missing(pictures):
    write(pictures / "splits.json", [["a/\ud800.jpg", 0, "a"]])
    (finding,) = check(["image_folder"], str(pictures))
    assert "\\ud800.jpg, listed in 'train'" in finding.problems[0]


def test_a_fingerprint_of_any_name_can_be_taken_and_those_of_common_names_stay():
    common = Split([Record("ä/1.jpg", 0, "a")], [], [])
    assert fingerprint(common) == "fdd5c10703dc1274"
    stray = Split([Record(os.fsdecode(b"\xe9.jpg"), 0, "a")], [], [])
    assert fingerprint(stray) != fingerprint(common)


def test_an_error_is_one_line_whatever_the_names_hold(tmp_path):
    error = DatasetError("a\nb\r\x1b[31m\u2028" + os.fsdecode(b"\xe9"))
    assert str(error) == "a\\nb\\r\\x1b[31m\\u2028\\udce9"
    assert isinstance(error, ValueError)


def console(monkeypatch) -> io.BytesIO:
    """A console of one code page; returns what it shows."""
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="cp1252"))
    return shown


def test_what_a_console_cannot_show_is_escaped(monkeypatch):
    shown = console(monkeypatch)
    say("é 猫\nx")
    assert shown.getvalue().strip() == b"\xe9 \\u732b\\nx"


def test_the_table_can_be_shown_on_any_console(tmp_path, monkeypatch):
    root = tmp_path / "Bilder ö 猫"
    for folder in ("猫", "two\nlines", "c", "d"):
        miniature.write_images(root / folder, ["1.jpg", "2.jpg"])
    (root / "猫" / "猫.txt").write_text("")
    shown = console(monkeypatch)
    assert run(main, ["--root", str(root), "--deep", "image_folder"]) == 0
    sys.stdout.flush()
    assert b"\\u732b.txt" in shown.getvalue()


@pytest.mark.parametrize("config", READERS)
def test_no_reader_answers_an_empty_directory_with_a_traceback(config, tmp_path):
    reader = READERS[config]
    (tmp_path / reader.dataset_dir / reader.image_dir).mkdir(parents=True, exist_ok=True)
    (finding,) = check([config], str(tmp_path))
    assert finding.usable == reader.made_on_demand
    assert all("\n" not in text for text in finding.problems)
