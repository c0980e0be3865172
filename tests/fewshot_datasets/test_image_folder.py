"""Anybody's images: class folders, divisions, readable names, written splits."""

from __future__ import annotations

import errno
import json
from collections import Counter
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import DatasetError, files

FOLDERS = ["red_fox", "badger", "Hare"]


@pytest.fixture
def pictures(tmp_path) -> Path:
    for folder in FOLDERS:
        miniature.write_images(
            tmp_path / folder, [f"{i}.{s}" for i in range(5) for s in ("jpg", "PNG")]
        )
        (tmp_path / folder / "notes.txt").write_text("not an image")
    return tmp_path


def test_class_folders_are_split_per_class_with_labels_by_sorted_name(pictures, load):
    dataset = load("image_folder", pictures)
    assert dataset.classnames == ["Hare", "badger", "red_fox"]
    for records, size in ((dataset.train_x, 5), (dataset.val, 2), (dataset.test, 3)):
        assert Counter(d.label for d in records) == {0: size, 1: size, 2: size}
        assert all(Path(d.impath).parent.name == d.classname for d in records)


def test_the_split_is_written_and_read_again(pictures, load, capsys):
    first = load("image_folder", pictures)
    text = (pictures / "splits.json").read_text()
    miniature.write_images(pictures / "badger", ["later.jpg"])
    capsys.readouterr()
    second = load("image_folder", pictures, shots=2, seed=1)
    assert "splits.json lacks 1 images" in capsys.readouterr().out
    assert [d.impath for d in second.test] == [d.impath for d in first.test]
    assert (pictures / "splits.json").read_text() == text
    assert (pictures / "split_fewshot").is_dir()


def test_the_split_is_the_same_in_another_place_and_after_adding_a_class(
    pictures, load, tmp_path_factory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder in [*FOLDERS, "aardvark"]:
        miniature.write_images(
            elsewhere / folder, [f"{i}.{s}" for i in range(5) for s in ("jpg", "PNG")]
        )
    here = {Path(d.impath).relative_to(pictures) for d in load("image_folder", pictures).test}
    there = {Path(d.impath).relative_to(elsewhere) for d in load("image_folder", elsewhere).test}
    assert here == {path for path in there if path.parts[0] != "aardvark"}


@pytest.mark.parametrize(("images", "sizes"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))])
def test_a_small_class_has_something_to_train_and_to_test_on(images, sizes, tmp_path, load):
    for folder in ("a", "b"):
        miniature.write_images(tmp_path / folder, [f"{i}.jpg" for i in range(images)])
    dataset = load("image_folder", tmp_path)
    lists = (dataset.train_x, dataset.val or [], dataset.test)
    assert tuple(len(records) // 2 for records in lists) == sizes


def test_halves_and_shots_work_on_folders(pictures, load):
    base, new = (load("image_folder", pictures, 2, 1, subset) for subset in ("base", "new"))
    assert (base.classnames, new.classnames) == (["Hare", "badger"], ["red_fox"])
    assert (len(base.train_x), len(new.train_x), len(new.test)) == (4, 2, 3)


def test_classnames_json_renames_also_after_the_split_is_written(pictures, load):
    load("image_folder", pictures)
    (pictures / "classnames.json").write_text(json.dumps({"red_fox": "a red fox"}))
    assert load("image_folder", pictures).classnames == ["Hare", "badger", "a red fox"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"redfox": "a red fox"}',
            "'redfox' is not a class folder; there are: Hare, badger, red_fox",
        ),
        ('["red fox"]', "expected an object of folder names and class names"),
        ('{"red_fox": 3}', "expected an object of folder names and class names"),
        ('{"red_fox"', "is not JSON"),
    ],
)
def test_a_wrong_classnames_json_is_refused(content, message, pictures, load):
    (pictures / "classnames.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        load("image_folder", pictures)


def divide(root: Path, **classes: list[str]) -> None:
    for key, folders in classes.items():
        for folder in folders:
            miniature.write_images(root / key / folder, [f"{i}.jpg" for i in range(3)])


def test_an_existing_division_is_used_as_it_is(tmp_path, load):
    divide(tmp_path, train=["b", "a"], val=["a"], test=["a", "b"])
    dataset = load("image_folder", tmp_path)
    assert dataset.classnames == ["a", "b"]
    assert [len(x) for x in (dataset.train_x, dataset.val, dataset.test)] == [6, 3, 6]
    assert all("/test/" in d.impath for d in dataset.test)
    assert not (tmp_path / "splits.json").exists()


def test_the_few_shot_cache_is_not_taken_for_a_class(pictures, load, tmp_path_factory):
    divided = tmp_path_factory.mktemp("divided")
    divide(divided, train=["a", "b"], test=["a", "b"])
    for root, classes in ((pictures, 3), (divided, 2)):
        load("image_folder", root, shots=1, seed=1)
        (root / "splits.json").unlink(missing_ok=True)
        assert load("image_folder", root).num_classes == classes


def test_without_test_the_images_of_val_are_tested_and_not_selected_on(tmp_path, load, capsys):
    divide(tmp_path, train=["a", "b"], val=["a", "b"])
    dataset = load("image_folder", tmp_path)
    assert "val/ is tested instead" in capsys.readouterr().out
    assert dataset.val is None
    assert all("/val/" in d.impath for d in dataset.test)


def test_a_class_may_be_called_train(tmp_path, load):
    for folder in ("train", "bus"):
        miniature.write_images(tmp_path / folder, [f"{i}.jpg" for i in range(4)])
    assert load("image_folder", tmp_path).classnames == ["bus", "train"]


def test_a_division_with_only_train_is_refused(tmp_path, load):
    divide(tmp_path, train=["a", "b"])
    with pytest.raises(DatasetError, match="has train/ but no test/ and no val/"):
        load("image_folder", tmp_path)


def test_a_class_that_train_lacks_is_refused(tmp_path, load):
    divide(tmp_path, train=["a"], test=["a", "b"])
    with pytest.raises(DatasetError, match="no class folder b in train/"):
        load("image_folder", tmp_path)


def test_ones_own_splits_json_decides(pictures, load):
    content = {
        "train": [["badger/0.jpg", 0, "badger"], ["Hare/0.jpg", 1, "hare"]],
        "val": [],
        "test": [["badger/1.jpg", 0, "badger"]],
    }
    (pictures / "splits.json").write_text(json.dumps(content))
    dataset = load("image_folder", pictures)
    assert dataset.classnames == ["badger", "hare"]
    assert (len(dataset.train_x), dataset.val, len(dataset.test)) == (2, None, 1)


def test_a_folder_without_images_is_refused(pictures, load):
    (pictures / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty has no images"):
        load("image_folder", pictures)


def test_a_class_of_one_image_is_refused(pictures, load):
    miniature.write_images(pictures / "lynx", ["only.jpg"])
    with pytest.raises(DatasetError, match="lynx has 1 image, needed are 2"):
        load("image_folder", pictures)


def test_a_root_without_folders_is_refused(tmp_path, load):
    miniature.write_images(tmp_path, ["a.jpg", "b.jpg"])
    with pytest.raises(DatasetError, match="neither class folders nor train/"):
        load("image_folder", tmp_path)


def test_a_read_only_folder_is_split_the_same_way_in_every_run(pictures, load, monkeypatch, capsys):
    def refuse(obj, path):
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files, "write_json", refuse)
    first, second = (load("image_folder", pictures) for _ in range(2))
    assert [d.impath for d in first.train_x] == [d.impath for d in second.train_x]
    assert capsys.readouterr().out.count("Cannot write") == 2
    assert not (pictures / "splits.json").exists()
