"""The demo's data set, which its reader writes itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fewshot_datasets import DatasetError, digits
from PIL import Image
from sklearn.datasets import load_digits


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A data root with the whole data set; shared by tests that change nothing below it."""
    root = tmp_path_factory.mktemp("data")
    digits.Digits.load_split(root / "digits")
    return root


def images(root: Path) -> dict[Path, int]:
    """Image files below a data root and when each was written."""
    return {path: path.stat().st_mtime_ns for path in (root / "digits/images").rglob("*.png")}


def test_the_files_hold_the_scans_light_on_dark(written):
    scans = load_digits()
    for index in (0, 1, 1796):
        path = written / "digits/images" / digits.scan_path(index, scans.target[index])
        pixels = np.asarray(Image.open(path))
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(np.round(pixels * (16 / 255)), scans.images[index])
    assert pixels.max() > 200 and np.median(pixels) < 128


def test_every_scan_is_in_one_list_of_the_split(written, load):
    dataset = load("digits", written)
    paths = [Path(d.impath) for d in dataset.train_x + dataset.val + dataset.test]
    assert len(paths) == 1797
    assert set(paths) == set(images(written))


def test_the_split_is_stratified(written, load):
    dataset = load("digits", written)
    size = Counter(load_digits().target)
    for data, share in ((dataset.train_x, 0.5), (dataset.val, 0.2), (dataset.test, 0.3)):
        for label, count in Counter(d.label for d in data).items():
            assert abs(count - share * size[label]) <= 1


def test_the_split_is_the_same_on_every_machine(written, load):
    dataset = load("digits", written)
    first = [Path(data[0].impath).name for data in (dataset.train_x, dataset.val, dataset.test)]
    assert first == ["1365.png", "0656.png", "1336.png"]
    assert tuple(map(len, (dataset.train_x, dataset.val, dataset.test))) == (
        digits.Digits.published_sizes
    )


def test_a_second_run_writes_nothing(written, load):
    before = images(written)
    load("digits", written, shots=2, seed=1)
    assert images(written) == before


def test_a_set_that_a_killed_run_left_half_written_is_completed(tmp_path, load, monkeypatch):
    replace, left = digits.os.replace, iter(range(500))

    def killed(source, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(digits.os, "replace", killed)
        load("digits", tmp_path)
    assert len(images(tmp_path)) == 500
    for path in images(tmp_path):
        Image.open(path).load()

    assert len(load("digits", tmp_path).train_x) == 898
    assert len(images(tmp_path)) == 1797


def test_a_deleted_scan_is_written_again(tmp_path, load):
    dataset = load("digits", tmp_path)
    lost = Path(dataset.test[7].impath)
    content = lost.read_bytes()
    lost.unlink()
    load("digits", tmp_path)
    assert lost.read_bytes() == content


def test_a_data_root_that_cannot_be_written_is_named(tmp_path, load):
    (tmp_path / "digits").write_text("a file where the directory should be")
    with pytest.raises(DatasetError, match=r"writable DATASET\.ROOT") as error:
        load("digits", tmp_path)
    assert str(tmp_path / "digits" / "images") in str(error.value)


def test_base_classes_are_zero_to_four_and_new_ones_five_to_nine(written, load):
    base = load("digits", written, subset="base")
    new = load("digits", written, subset="new")
    assert base.classnames == ["zero", "one", "two", "three", "four"]
    assert new.classnames == ["five", "six", "seven", "eight", "nine"]
    assert {d.label for d in new.test} == set(range(5))
    assert len(base.test) + len(new.test) == 540


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (1, ["0812", "1335", "0422", "0512", "1235"]),
        (2, ["1746", "1106", "0666", "0304", "0101"]),
        (3, ["0179", "1716", "0786", "1435", "0957"]),
    ],
)
def test_a_seed_picks_the_same_shots_everywhere(written, load, seed, expected):
    dataset = load("digits", written, shots=16, seed=seed)
    assert Counter(d.label for d in dataset.train_x) == dict.fromkeys(range(10), 16)
    assert Counter(d.label for d in dataset.val) == dict.fromkeys(range(10), 4)
    picked = [Path(d.impath).stem for d in dataset.train_x[:3] + dataset.val[:2]]
    assert picked == expected
