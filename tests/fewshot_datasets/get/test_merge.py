"""A folder that lacks files gets them, and nothing in it is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fewshot_datasets.get.errors import GetError
from fewshot_datasets.get.place import merge, place
from folders import state_of, tree_of, write_folder


@pytest.fixture
def source(tmp_path) -> Path:
    return write_folder(tmp_path)


def test_only_what_is_lacking_is_added(tmp_path):
    staged, goal = tmp_path / "staged", tmp_path / "goal"
    for folder, names in ((staged, "a/1 a/2 b/3 c/d/4"), (goal, "a/1 c/mine")):
        for name in names.split():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{name} of {folder.name}")
    assert merge(staged, goal) == 3
    assert tree_of(goal) == {
        "a/1": b"a/1 of goal",
        "a/2": b"a/2 of staged",
        "b/3": b"b/3 of staged",
        "c/d/4": b"c/d/4 of staged",
        "c/mine": b"c/mine of goal",
    }
    assert merge(staged, goal) == 0


def test_what_a_staged_link_leads_to_is_added_by_links_and_left_as_it_is(source, tmp_path):
    before = state_of(source)
    place(source, tmp_path / "staged", "symbolic")
    goal = tmp_path / "goal"
    (goal / "a").mkdir(parents=True)
    (goal / "a/1.jpg").write_text("mine")
    assert merge(tmp_path / "staged", goal) == 2  # a/b and c
    assert state_of(source) == before
    assert (goal / "a/1.jpg").read_text() == "mine"
    assert os.readlink(goal / "a/b") == str(source / "a/b")
    assert (goal / "c/4.jpg").read_text() == "stored"


@pytest.mark.parametrize("link", ["goal", "goal/a"])
def test_nothing_is_added_behind_a_link(link, source, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(theirs, target_is_directory=True)
    place(source, tmp_path / "staged", "copy")
    staged = state_of(tmp_path / "staged")
    with pytest.raises(GetError, match=f"{link} is a symbolic link to {theirs}, and adding"):
        merge(tmp_path / "staged", tmp_path / "goal")
    assert not list(theirs.iterdir()) and state_of(tmp_path / "staged") == staged


def test_a_complete_folder_behind_a_link_is_left(source, tmp_path):
    place(source, tmp_path / "theirs", "copy")
    place(source, tmp_path / "staged", "copy")
    (tmp_path / "goal").symlink_to(tmp_path / "theirs", target_is_directory=True)
    assert merge(tmp_path / "staged", tmp_path / "goal") == 0


@pytest.mark.parametrize(
    ("here", "words"),
    [
        ("file", "goal/a is a file, and a folder has"),
        ("folder", "goal/c/3.jpg is a folder, and a file has"),
    ],
)
def test_a_file_in_place_of_a_folder_is_named_before_anything_is_added(
    here, words, source, tmp_path
):
    place(source, tmp_path / "staged", "copy")
    goal = tmp_path / "goal"
    (goal / "c/3.jpg" if here == "folder" else goal).mkdir(parents=True)
    if here == "file":
        (goal / "a").write_text("mine")
    before = state_of(goal)
    with pytest.raises(GetError, match=words):
        merge(tmp_path / "staged", goal)
    assert state_of(goal) == before
