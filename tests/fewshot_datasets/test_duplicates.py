"""Class names and pictures that are there twice: refused in one's own images, noted elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import miniature
import pytest
from fewshot_datasets import DatasetError
from fewshot_datasets.check import check, main
from fewshot_datasets.duplicates import prompt_words

NAMES = [f"{i}.jpg" for i in range(4)]


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two classes of four different pictures each."""
    miniature.write_images(tmp_path / "a", NAMES)
    miniature.write_images(tmp_path / "b", [f"{i}.png" for i in range(4)])
    return tmp_path


def write_splits(root: Path, train: list, val: list, test: list) -> None:
    (root / "splits.json").write_text(json.dumps({"train": train, "val": val, "test": test}))


def test_names_that_give_equal_tokens_have_equal_words():
    tokenizer = pytest.importorskip("clip.simple_tokenizer").SimpleTokenizer()
    names = ["red_fox", "Red  Fox", " red fox", "model3", "model 3", "dog's", "dog 's", "dog' s"]
    names += [
        "caf\u00e9",
        "cafe\u0301",
        "caf&eacute;",
        "a&amp;b",
        "A & B",
        "12",
        "1 2",
        "a-b",
        "a b",
    ]
    names += ["猫", "x2", "x\n2", "fox."]
    for name in names:
        for other in names:
            tokens = [tokenizer.encode(text.replace("_", " ")) for text in (name, other)]
            assert (tokens[0] == tokens[1]) == (prompt_words(name) == prompt_words(other))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["red_fox", "red fox", "Red  Fox"], "'Red  Fox' = 'red fox' = 'red_fox'"),
        (["model3", "model 3"], "'model 3' = 'model3'"),
        (["x&amp;y", "x&y"], "'x&amp;y' = 'x&y'"),
        (["_"], "class name '_' is empty for a prompt"),
    ],
)
def test_class_names_that_become_one_prompt_or_none_are_refused_by_name(
    folders, message, pictures, load
):
    for folder in folders:
        miniature.write_images(pictures / folder, NAMES)
    with pytest.raises(DatasetError) as error:
        load("image_folder", pictures)
    assert message in str(error.value)
    (finding,) = check(["image_folder"], str(pictures))
    assert message in finding.problems[0]
    assert not (pictures / "splits.json").exists()


def test_renaming_can_make_and_mend_equal_prompts(pictures, load):
    (pictures / "classnames.json").write_text('{"a": "B"}')
    with pytest.raises(DatasetError, match="become one prompt: 'B' = 'b'"):
        load("image_folder", pictures)
    (pictures / "classnames.json").write_text('{"a": "c"}')
    assert load("image_folder", pictures).classnames == ["c", "b"]


@pytest.mark.parametrize("spelling", ["a/0.jpg", "./a/0.jpg", "a\\0.jpg", "a//0.jpg"])
def test_a_picture_in_two_splits_is_refused_however_its_path_is_written(spelling, pictures, load):
    write_splits(pictures, [["a/0.jpg", 0, "a"], ["b/0.png", 1, "b"]], [], [[spelling, 0, "a"]])
    with pytest.raises(DatasetError, match=r"1 picture of 'train' is also in 'test': a/0\.jpg"):
        load("image_folder", pictures)


def test_a_picture_in_two_classes_is_refused(pictures, load):
    write_splits(pictures, [["a/0.jpg", 0, "a"], ["a/0.jpg", 1, "b"]], [], [["a/1.jpg", 0, "a"]])
    with pytest.raises(DatasetError, match=r"same picture in two classes: a/0\.jpg"):
        load("image_folder", pictures)


def test_a_picture_twice_in_a_list_is_a_note_and_can_be_selected(pictures, load, capsys):
    twice = [["a/0.jpg", 0, "a"], ["a/0.jpg", 0, "a"], ["b/0.png", 1, "b"]]
    write_splits(pictures, twice, [], [["a/1.jpg", 0, "a"]])
    for _ in range(2):
        assert len(load("image_folder", pictures, shots=2, seed=1).train_x) == 3
    out = capsys.readouterr().out
    assert "'train' lists 1 picture more than once: a/0.jpg" in out and "does not fit" not in out
    (finding,) = check(["image_folder"], str(pictures))
    assert finding.usable
    assert finding.notes.count("'train' lists 1 picture more than once: a/0.jpg") == 1


def test_a_deep_check_names_pictures_that_are_the_same_byte_for_byte(tmp_path):
    for split in ("train", "test"):
        for name, suffix in (("a", "jpg"), ("b", "png")):
            files = [f"{split}{i}.{suffix}" for i in range(3)]
            miniature.write_images(tmp_path / split / name, files)
    copy = tmp_path / "train/a/copy.jpg"
    copy.write_bytes((tmp_path / "train/a/train0.jpg").read_bytes())
    (tmp_path / "test/a/test0.jpg").write_bytes(b"not the same")
    (finding,) = check(["image_folder"], str(tmp_path))
    assert not any("byte" in note for note in finding.notes)
    (finding,) = check(["image_folder"], str(tmp_path), deep=True)
    notes = [note for note in finding.notes if "byte" in note]
    assert notes[0].startswith("5 pictures, the same byte for byte, in more than one split: ")
    assert "test/a/test1.jpg (test) = train/a/train1.jpg (train)" in notes[0]
    assert notes[1] == (
        "1 picture, the same byte for byte, twice within a split: "
        "train/a/copy.jpg (train) = train/a/train0.jpg (train)"
    )


def test_duplicates_of_a_published_data_set_are_notes_and_move_nothing(tmp_path, load):
    directory = miniature.build("oxford_pets", tmp_path)
    split = miniature.publish("oxford_pets", directory)
    path = directory / "split_zhou_OxfordPets.json"
    content = json.loads(path.read_text().replace('"bengal"', '"abyssinian "'))
    content["test"] += [content["train"][0], content["test"][0]]
    path.write_text(json.dumps(content))
    dataset = load("oxford_pets", tmp_path)
    assert len(dataset.test) == len(split.test) + 2
    (finding,) = check(["oxford_pets"], str(tmp_path))
    assert finding.usable
    notes = " ".join(finding.notes)
    for part in ("'abyssinian' = 'abyssinian '", "1 picture of 'train' is also", "'test' lists 1"):
        assert part in notes


def test_classes_with_fewer_images_than_shots_are_named(pictures, capsys):
    miniature.write_images(pictures / "c", [f"{i}.jpg" for i in range(40)])
    (finding,) = check(["image_folder"], str(pictures), shots=16)
    assert finding.usable and finding.smallest == (2, "a")
    assert "2 classes have fewer than 16 images to train on: a (2), b (2)" in finding.notes
    assert main(["--root", str(pictures), "--shots", "2", "image_folder"]) == 0
    out = capsys.readouterr().out
    assert "2 (a)" in out and "fewer" not in out


@pytest.mark.parametrize("shots", ["many", "0", "-1", "1.5", "²"])
def test_wrong_shots_are_a_usage_error(shots, pictures, capsys):
    with pytest.raises(SystemExit) as error:
        main(["--root", str(pictures), f"--shots={shots}", "image_folder"])
    assert error.value.code == 2
    assert f"--shots: {shots!r} is no number of images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "sides"),
    [(1, "base has 1 class, new has 0 classes"), (2, "new has 1"), (3, "2 cl")],
)
def test_a_side_of_fewer_than_two_classes_is_noted(classes, sides, tmp_path):
    for folder in range(4):
        miniature.write_images(tmp_path / f"class {folder}", NAMES)
    (finding,) = check(["image_folder"], str(tmp_path))
    assert finding.notes == []
    for folder in range(classes, 4):
        (tmp_path / f"class {folder}").rename(tmp_path / f".{folder}")
    (finding,) = check(["image_folder"], str(tmp_path))
    assert sides in finding.notes[-1] and "a side of one class is no result" in finding.notes[-1]
