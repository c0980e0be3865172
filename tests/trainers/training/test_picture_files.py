"""Which pictures the names of files and folders stand for, and in which order."""

import os
from pathlib import Path

import pytest
from fewshot_datasets import files, pictures
from multimode_ot.training import picture_files
from multimode_ot.training.picture_files import PictureFiles, Survey

TREE = [
    "b.png", "a.JPG", "notes.txt", ".hidden.png", "Thumbs.db", "__MACOSX/a.png", "z/1.webp",
    "a/2.tif", "a/deep/er/3.bmp", "a/.git/4.png", "a/paper.pdf", "with, comma/5 6.gif",
    "a.png/7.png",
]  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    for path in TREE:
        file = tmp_path / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "tree"


def found(*places):
    return list(PictureFiles(places))


def test_a_picture_is_what_the_folder_reader_takes_for_one():
    assert picture_files.picture_suffixes() == pictures.picture_suffixes()
    assert picture_files.LEFTOVERS == files.LEFTOVERS


def test_a_folder_is_searched_as_the_folder_reader_searches(tree):
    suffixes = pictures.picture_suffixes()
    listed = [p for p in pictures.walk_files(tree) if pictures.has_suffix(p, suffixes)]
    assert found(tree) == [os.path.join(tree, path) for path in listed]
    assert {Path(path).name for path in listed} == {
        "a.JPG", "b.png", "1.webp", "2.tif", "3.bmp", "5 6.gif", "7.png",
    }  # fmt: skip


def test_a_folders_own_pictures_come_first_by_name_then_those_of_its_folders(tree):
    below = [os.path.relpath(path, tree) for path in found(tree)]
    expected = ["a.JPG", "b.png", "a/2.tif", "a/deep/er/3.bmp", "a.png/7.png"]
    assert below[:5] == expected and below == [*expected, "with, comma/5 6.gif", "z/1.webp"]


def test_paths_start_as_their_places_are_written(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert found("z", "b.png", "z/") == ["z/1.webp", "b.png", "z/1.webp"]


def test_a_named_file_is_taken_whatever_it_is_called(tree):
    named = [str(tree / name) for name in ("notes.txt", ".hidden.png")]
    assert found(*named) == named
    assert PictureFiles(named).survey() == Survey(2, 0, len(named[1]))


def test_other_files_are_counted_but_neither_hidden_ones_nor_leftovers(tree):
    survey = PictureFiles([tree]).survey()
    assert (survey.pictures, survey.others) == (7, 2)
    assert survey.longest == len(str(tree / "with, comma/5 6.gif"))


def test_links_are_followed_but_not_in_circles(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/8.png").touch()
    (tree / "a/link").symlink_to(tmp_path / "elsewhere")
    (tree / "a/round").symlink_to(tree)
    (tree / "a/up").symlink_to(tmp_path)
    (tree / "broken.png").symlink_to(tree / "nothing")
    names = [os.path.basename(path) for path in found(tree)]
    assert names.count("8.png") == 1 and names.count("2.tif") == 1 and len(names) == 9


def test_a_folder_that_cannot_be_listed_is_named_and_does_not_stop_the_rest(tree, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    survey = PictureFiles([tree]).survey()
    deep = str(tree / "a/deep")
    assert survey.unlisted == [(deep, f'Cannot list the folder "{deep}": Permission denied')]
    assert survey.pictures == 6


def test_a_place_that_is_not_there_is_named_before_anything_is_listed(tree):
    with pytest.raises(FileNotFoundError, match=r"gone: there is no such file or folder"):
        PictureFiles([tree, tree / "gone"])


def test_a_pattern_that_the_shell_has_not_expanded_is_recognised(tree):
    with pytest.raises(FileNotFoundError, match=r"\*\.jpeg: .*pattern.*name the folder"):
        PictureFiles([f"{tree}/*.jpeg"])
    (tree / "[1].png").touch()
    assert found(tree / "[1].png") == [str(tree / "[1].png")]
