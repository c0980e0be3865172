"""A tree lists folders and files, asks no picture what it is, and always ends."""

from __future__ import annotations

import os
from pathlib import Path

from fewshot_datasets.get.catalogue import load_catalogue
from fewshot_datasets.get.recognise import find
from fewshot_datasets.get.tree import Tree


def test_names_in_an_archive_are_a_tree():
    names = ["./dtd/images/banded/banded_0002.jpg", "dtd\\images\\polka-dotted\\polka-dotted_1.jpg"]
    names += ["dtd/images/zigzagged/zigzagged_9.jpg", "__MACOSX/dtd/images/x/._banded_0002.jpg"]
    found = find(Tree.of_names(names), load_catalogue()["dtd"])
    assert found.parts == {"images": [Path("dtd/images")]}


def test_a_tree_names_what_it_cannot_list_and_goes_on(tmp_path, monkeypatch):
    for folder in ("a/b", "locked", "c"):
        (tmp_path / folder).mkdir(parents=True)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    tree = Tree.of_folder(tmp_path)
    assert [folder.path for folder in tree.folders()] == [".", "a", "c", "locked", "a/b"]
    assert tree.notes == [f"cannot list {tmp_path / 'locked'} (Permission denied): left out"]


def test_links_are_followed_but_never_in_a_circle(tmp_path):
    (tmp_path / "root/inner").mkdir(parents=True)
    (tmp_path / "outer").mkdir()
    for name, target in (("out", "outer"), ("self", "root"), ("up", ".")):
        (tmp_path / "root" / name).symlink_to(tmp_path / target, target_is_directory=True)
    (tmp_path / "outer/back").symlink_to(tmp_path / "root/inner", target_is_directory=True)
    (tmp_path / "root/inner/on").symlink_to(tmp_path / "outer", target_is_directory=True)
    (tmp_path / "root/loop").symlink_to(tmp_path / "root/loop")
    tree = Tree.of_folder(tmp_path / "root")
    assert [folder.path for folder in tree.folders()] == [
        ".", "inner", "out", "inner/on", "out/back",
    ]  # fmt: skip
    assert len(tree.notes) == 4


def test_deep_folders_are_left_out_and_that_is_said(tmp_path):
    (tmp_path / "/".join("abcdefghijkl")).mkdir(parents=True)
    tree = Tree.of_folder(tmp_path)
    assert [f.path for f in tree.folders()][-1] == "a/b/c/d/e/f/g/h"
    list(tree.folders())
    assert tree.notes == [f"{tmp_path}: folders more than 8 levels deep were not looked at"]


def test_of_very_many_folders_the_outer_ones_are_looked_at(tmp_path, monkeypatch):
    for name in ("a/b/c", "d"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr("fewshot_datasets.get.tree.MAX_FOLDERS", 3)
    tree = Tree.of_folder(tmp_path)
    assert [folder.path for folder in tree.folders()] == [".", "a", "d"]
    assert tree.notes == [f"{tmp_path}: only the first 3 folders were looked at"]


def test_a_tree_asks_no_picture_what_it_is_and_lists_no_class_of_imagenet(tmp_path, monkeypatch):
    for name in ("n01440764/n01440764_1.JPEG", "pictures/1.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    listed, asked = [], []
    scandir, stat = os.scandir, os.stat
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path).name) or scandir(path))
    monkeypatch.setattr(os, "stat", lambda path, **k: asked.append(path) or stat(path, **k))
    tree = Tree.of_folder(tmp_path)
    folders = list(tree.folders())
    assert folders[-1].files == {"1.jpg"}
    assert listed == [tmp_path.name, "pictures"]
    assert not [path for path in asked if str(path).endswith((".jpg", ".JPEG"))]
