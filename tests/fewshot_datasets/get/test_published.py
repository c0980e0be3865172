"""A split file is the published one by its bytes, or by its content, or it is none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import miniature
import pytest
from fewshot_datasets import READERS
from fewshot_datasets.get.catalogue import Document
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.published import verify

NAME = READERS["eurosat"].split_file


@pytest.fixture
def split(tmp_path):
    """A published split file and what the catalogue says of it."""
    directory = miniature.build("eurosat", tmp_path)
    lists = miniature.publish("eurosat", directory)
    path = directory / NAME
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, Document(NAME, sha256=sha256, sizes=tuple(map(len, lists)))


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_the_same_bytes_need_no_remark(split):
    path, document = split
    assert verify(path, document) == ""
    by_blob = Document(NAME, git_blob=blob(path.read_bytes()))
    assert verify(path, by_blob) == ""


COPIES = {
    "white space": lambda text: json.dumps(json.loads(text)),
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "a byte-order mark": lambda text: "\ufeff" + text,
    "order of the keys": lambda text: json.dumps(dict(reversed(json.loads(text).items()))),
    "a last line break": lambda text: text + "\n",
}


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("by", ["sha256", "git_blob"])
def test_a_copy_of_the_same_content_is_accepted_and_said(change, by, split):
    path, document = split
    if by == "git_blob":
        document = replace(document, sha256="", git_blob=blob(path.read_bytes()))
    path.write_text(COPIES[change](path.read_text()), newline="")
    assert "same content" in verify(path, document)


def test_names_that_are_not_ascii_may_be_escaped_or_not(split):
    path, document = split
    content = json.loads(path.read_text())
    for records in content.values():
        for record in records:
            record[2] = record[2].replace("River", "Rivière")
    for published in (True, False):
        text = json.dumps(content, indent=4, separators=(",", ": "), ensure_ascii=published)
        known = replace(document, sha256=hashlib.sha256(text.encode()).hexdigest())
        path.write_text(json.dumps(content, ensure_ascii=not published), encoding="utf-8")
        assert "same content" in verify(path, known)


def swapped(content):
    train = content["train"]
    train[0], train[1] = train[1], train[0]


def relabelled(content):
    for records in content.values():
        for record in records:
            record[1] = {0: 1, 1: 0}.get(record[1], record[1])


OTHERS = {
    "another order": (swapped, "as many images"),
    "an image less": (lambda content: content["val"].pop(), "the published one"),
    "other labels": (relabelled, "as many images"),
    "test and val exchanged": (
        lambda content: content.update(val=content["test"], test=content["val"]),
        "the published one",
    ),
}


@pytest.mark.parametrize("change", OTHERS)
def test_another_split_is_refused_with_what_differs(change, split):
    path, document = split
    content = json.loads(path.read_text())
    make, named = OTHERS[change]
    make(content)
    path.write_text(json.dumps(content, indent=4, separators=(",", ": ")))
    with pytest.raises(SourceError, match=named) as e:
        verify(path, document)
    assert str(path) in str(e.value) and NAME in str(e.value)


@pytest.mark.parametrize("text", ["", "{", "<html></html>", '{"train": []}', "[1]"])
def test_what_is_no_split_is_refused(text, split):
    path, document = split
    path.write_text(text)
    with pytest.raises(SourceError, match="is not the published"):
        verify(path, document)


def test_class_names_are_counted(tmp_path):
    path = tmp_path / "classnames.txt"
    document = Document("classnames.txt", sizes=(2,))
    path.write_text("n01 tench\nn02 goldfish\n")
    assert verify(path, document) == ""
    for text in ("n01 tench\n", "n01\nn02 goldfish\n", "<html>\n</html>\n", "n01 a\nn01 b\n"):
        path.write_text(text)
        with pytest.raises(SourceError, match=r"is not the published classnames\.txt"):
            verify(path, document)
