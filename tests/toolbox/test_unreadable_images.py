"""`DATALOADER.SKIP_BAD_IMAGES`, and broken pictures without it."""

import shutil

import pytest
from dassl.data import DataManager
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import Datum
from PIL import Image


@pytest.fixture
def records(tmp_path):
    """`records(9, 2, 5)`: nine records, of which the images 2 and 5 are broken."""

    def make(number, *broken):
        for i in range(number):
            Image.new("RGB", (9, 6 + i)).save(tmp_path / f"{i}.png")
        for i in broken:
            (tmp_path / f"{i}.png").write_bytes(b"no picture")
        return [Datum(str(tmp_path / f"{i}.png"), label=i % 2) for i in range(number)]

    return make


@pytest.fixture
def broken_root(data_root, images):
    """A data root of a test's own pictures, and a function that breaks some of them."""
    link = data_root / "shapes" / "images"
    link.unlink()
    shutil.copytree(images / "shapes" / "images", link)

    def break_images(*names):
        for name in names:
            (link / name).write_bytes(b"no picture")

    return break_images


def _size_only(image):
    return image.size[1]


def test_unreadable_images_are_left_out_and_counted_if_asked(make_cfg, records, capsys):
    cfg = make_cfg("DATALOADER.SKIP_BAD_IMAGES", True)
    data = records(9, 2, 5)
    loader = build_data_loader(cfg, data_source=data, batch_size=4, tfm=_size_only, is_train=False)
    assert [len(batch["img"]) for batch in loader] == [4, 3]
    out = capsys.readouterr().out
    assert "Skipped 2 of 9 images: unreadable: " in out
    assert out.count("2.png") == out.count("5.png") == 1


def test_the_list_is_capped_and_the_count_is_whole(make_cfg, records, capsys):
    cfg = make_cfg("DATALOADER.SKIP_BAD_IMAGES", True)
    build_data_loader(cfg, data_source=records(9, *range(8)), tfm=_size_only)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("Skipped 8 of 9 images")
    assert line.count(".png") == 5 and line.endswith(" and 3 more")


def test_nothing_but_unreadable_images_is_an_empty_loader(make_cfg, records):
    cfg = make_cfg("DATALOADER.SKIP_BAD_IMAGES", True)
    with pytest.raises(AssertionError, match="has no images"):
        build_data_loader(cfg, data_source=records(2, 0, 1))


def test_all_splits_of_a_run_are_counted_in_one_line(make_cfg, broken_root, monkeypatch, capsys):
    from dassl.data.datasets import DatasetBase

    monkeypatch.setattr(DatasetBase, "val", DatasetBase.test)  # as ImageNet's reader has it
    cfg = make_cfg("DATALOADER.SKIP_BAD_IMAGES", True, "DATASET.NUM_SHOTS", -1)
    dataset = DataManager(cfg).dataset
    names = [item.impath.split("/images/")[1] for item in (dataset.train_x[0], dataset.test[0])]
    broken_root(*names)
    capsys.readouterr()
    dm = DataManager(cfg)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Skipped" in line]
    assert "Skipped 2 of 32 images (train_x 1, val 1, test 1): unreadable: " in line
    assert all(line.count(name) == 1 for name in names)
    for loader, items in (
        (dm.train_loader_x, dataset.train_x),
        (dm.val_loader, dataset.test),
        (dm.test_loader, dataset.test),
    ):
        assert len(loader.dataset) == len(items) - 1


def test_every_image_is_decoded_once_for_that(make_cfg, monkeypatch):
    from dassl.data import _unreadable

    looked_at = []
    monkeypatch.setattr(_unreadable, "image_fault", lambda path, _: looked_at.append(path) or "")
    DataManager(make_cfg("DATALOADER.SKIP_BAD_IMAGES", True))
    assert looked_at and len(looked_at) == len(set(looked_at))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("hook", ["train", "test"])
def test_a_broken_picture_ends_a_run_with_one_line(
    make_trainer, make_cfg, broken_root, workers, hook
):
    options = ("DATALOADER.NUM_WORKERS", workers, "DATASET.NUM_SHOTS", -1)
    dataset = DataManager(make_cfg(*options)).dataset
    broken_root(*(item.impath.split("/images/")[1] for item in dataset.train_x + dataset.test))
    with pytest.raises(OSError) as error:
        getattr(make_trainer(*options), hook)()
    text = str(error.value)
    assert text.startswith('Cannot read the image "') and "\n" not in text
    assert text.count(".png") == 1 and "SKIP_BAD_IMAGES" in text
