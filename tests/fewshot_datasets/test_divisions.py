"""Folders that are train, val and test already, under the names that other tools give them."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from fewshot_datasets import DatasetError
from fewshot_datasets.check import check

NAMES = [f"{i}.jpg" for i in range(3)]


def fill(root: Path, *folders: str) -> None:
    for folder in folders:
        miniature.write_images(root / folder, NAMES)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("Train", "Val", "Test"),
        ("training", "validation", "testing"),
        ("TRAINING", "Dev", "Testing"),
    ],
)
def test_the_usual_names_of_the_splits_are_understood_in_any_case(names, tmp_path, load):
    fill(tmp_path, *(f"{split}/{name}" for split in names for name in "ab"))
    dataset = load("image_folder", tmp_path)
    assert dataset.classnames == ["a", "b"]
    for records, split in zip((dataset.train_x, dataset.val, dataset.test), names, strict=True):
        assert {Path(d.impath).parents[1].name for d in records} == {split}
    assert not (tmp_path / "splits.json").exists()


def test_archives_leftovers_and_other_folders_beside_a_division_are_left_out(tmp_path, load):
    fill(tmp_path, "train/a", "train/b", "test/a", "test/b", "__MACOSX/train", "samples")
    for folder in ("docs", ".git", "val", "train/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
    (tmp_path / "test/readme.txt").write_text("")
    assert load("image_folder", tmp_path).classnames == ["a", "b"]
    (finding,) = check(["image_folder"], str(tmp_path))
    assert finding.notes[0] == (
        "left out 1 file (test/readme.txt), 3 folders with 3 pictures (docs, 0 pictures, samples, "
        "3 pictures, val, 0 pictures) and 3 hidden or system files (.git, __MACOSX, "
        ".ipynb_checkpoints)"
    )


def test_two_folders_of_one_split_are_refused_by_name(tmp_path, load):
    fill(tmp_path, "train/a", "val/a", "valid/a", "test/a")
    with pytest.raises(DatasetError, match="both val/ and valid/ mean val"):
        load("image_folder", tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["valid/a", "test/a"], r"looks like a division \(test/, valid/\), but there is no train/"),
        (["test/a", "cat", "dog"], "looks like a division .* there is no train/"),
        (["Train/a", "Test"], "Test/ holds pictures but no class folders"),
        (["train", "test"], "looks like a division .* no class folders with pictures"),
        (["train/a", "holdout/a"], "it has train/ but no test/ and no val/"),
        (["train/a", "valid/a", "val"], "val/ holds pictures but no class folders"),
    ],
)
def test_what_only_looks_like_a_division_is_refused_as_that(folders, message, tmp_path, load):
    fill(tmp_path, *folders)
    with pytest.raises(DatasetError, match=message):
        load("image_folder", tmp_path)


def test_an_empty_test_folder_is_refused(tmp_path, load):
    fill(tmp_path, "train/a", "val/a")
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match="test/ holds no pictures"):
        load("image_folder", tmp_path)


@pytest.mark.parametrize("more", [[], ["Train/nested"]])
def test_folders_that_hold_pictures_are_classes_whatever_they_are_called(more, tmp_path, load):
    fill(tmp_path, "Train", "test", "bus", *more)
    assert load("image_folder", tmp_path).classnames == ["Train", "bus", "test"]


def test_a_stray_picture_in_train_makes_no_class_of_it(tmp_path, load, capsys):
    fill(tmp_path, "train/a", "test/a", "train")
    assert load("image_folder", tmp_path).classnames == ["a"]
    assert "left out 3 files (train/0.jpg" in capsys.readouterr().out


def test_class_folders_that_differ_in_case_between_splits_are_refused_as_that(tmp_path, load):
    fill(tmp_path, "train/Cat", "test/cat")
    with pytest.raises(DatasetError, match="train/Cat differs only in case"):
        load("image_folder", tmp_path)


def test_a_class_that_test_lacks_is_mentioned(tmp_path, load, capsys):
    fill(tmp_path, "train/a", "train/b", "train/c", "test/a", "test/b")
    assert load("image_folder", tmp_path).num_classes == 3
    assert "test/ lacks 1 of 3 classes: c" in capsys.readouterr().out
