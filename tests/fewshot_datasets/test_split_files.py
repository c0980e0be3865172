"""The split file: one JSON object of three lists of [path, label, class name]."""

from __future__ import annotations

import json

import pytest
from fewshot_datasets import files
from fewshot_datasets.files import DatasetError
from fewshot_datasets.splits import Record, Split, read_split, write_split

SPLIT = Split(
    [Record("b/1.jpg", 1, "b"), Record("a/1.jpg", 0, "a")], [], [Record("a/2.jpg", 0, "a")]
)


def test_reading_gives_back_what_was_written_in_order(tmp_path):
    write_split(SPLIT, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == SPLIT


def test_the_written_text_is_the_published_format(tmp_path):
    write_split(SPLIT, tmp_path / "split.json")
    text = (tmp_path / "split.json").read_text()
    assert text == json.dumps(SPLIT._asdict(), indent=4, separators=(",", ": "))
    assert list(json.loads(text)) == ["train", "val", "test"]


def test_a_label_written_as_text_is_read_as_a_number(tmp_path):
    content = {"train": [["a", "0", "x"]], "val": [], "test": [["b", 0, "x"]]}
    (tmp_path / "split.json").write_text(json.dumps(content))
    assert read_split(tmp_path / "split.json").train == [Record("a", 0, "x")]


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "split.json"
    write_split(SPLIT, path)
    with pytest.raises(TypeError):
        files.write_json({"train": object()}, path)
    assert read_split(path) == SPLIT
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]


def test_the_file_is_replaced_at_once_and_never_written_in_place(tmp_path, monkeypatch):
    path = tmp_path / "split.json"
    write_split(SPLIT, path)
    monkeypatch.setattr(files.os, "replace", lambda source, target: None)
    write_split(SPLIT._replace(test=SPLIT.train), path)
    assert read_split(path) == SPLIT


A = ["a.jpg", 0, "a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"train": [', r"is not JSON \(line 1, column 12"),
        ("[]", "keys train, val, test; found list"),
        ({"train": [A], "test": [A]}, r"keys train, val, test; found \['test', 'train'\]"),
        ({"train": [A], "val": [], "test": [A], "extra": []}, "keys train, val, test"),
        ({"train": [A], "val": {}, "test": [A]}, "'val' is a dict, expected a list"),
        ({"train": [A, ["b.jpg", 1]], "val": [], "test": [A]}, "entry 1 of 'train' is"),
        ({"train": [["a.jpg", "one", "a"]], "val": [], "test": [A]}, "entry 0 of 'train' is"),
        ({"train": [["a.jpg", -1, "a"]], "val": [], "test": [A]}, "label >= 0"),
        ({"train": [[7, 0, "a"]], "val": [], "test": [A]}, "expected .relative path"),
        ({"train": [["/etc/a.jpg", 0, "a"]], "val": [], "test": [A]}, "not a path below"),
        ({"train": [["../a.jpg", 0, "a"]], "val": [], "test": [A]}, "not a path below"),
        ({"train": [], "val": [], "test": [A]}, "the train list is empty"),
        ({"train": [A], "val": [], "test": []}, "the test list is empty"),
        (
            {"train": [A, ["b.jpg", 0, "b"]], "val": [], "test": [A]},
            "label 0 is called 'a' and 'b'",
        ),
        ({"train": [["b.jpg", 1, "b"]], "val": [], "test": [A]}, "'train' has label 0 of 1"),
        ({"train": [A], "val": [], "test": [["b.jpg", 1, "b"]]}, "label 1 .* which 'train' lacks"),
        ({"train": [A], "val": [["b.jpg", 0, "b"]], "test": [A]}, "which 'train' calls 'a'"),
    ],
)
def test_a_malformed_split_is_refused_with_file_and_place(tmp_path, content, message):
    path = tmp_path / "split.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DatasetError, match=message) as e:
        read_split(path)
    assert str(path) in str(e.value)
