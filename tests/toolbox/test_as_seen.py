"""`INPUT.AS_SEEN`: pictures upright and on white, if the data set or the setting says so."""

import numpy as np
import pytest
from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DATASET_REGISTRY, Datum
from fewshot_datasets import READERS
from fewshot_datasets.check import check
from PIL import Image


@pytest.fixture
def portrait(tmp_path):
    """A record of a red picture, half of it transparent, that was stored lying on its side."""
    pixels = np.zeros((4, 10, 4), np.uint8)
    pixels[..., 0], pixels[:, :5, 3] = 255, 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "portrait.png", exif=exif)
    return Datum(str(tmp_path / "portrait.png"))


def is_as_seen(image):
    corner = image.getpixel((image.width - 1, image.height - 1))
    assert (image.size, corner) in (((4, 10), (255, 255, 255)), ((10, 4), (255, 0, 0)))
    return image.size == (4, 10)


def test_only_the_folder_reader_reads_as_seen():
    assert [name for name, reader in READERS.items() if reader.as_seen] == ["image_folder"]


@pytest.mark.parametrize(
    ("setting", "data_set", "wanted"),
    [
        ("auto", "Shapes", False),
        ("auto", "ImageFolder", True),
        ("auto", "OxfordPets", False),
        ("auto", "", False),
        ("yes", "Shapes", True),
        ("no", "ImageFolder", False),
    ],
)
@pytest.mark.parametrize("megabytes", [0, 1])
def test_the_setting_decides_and_auto_asks_the_data_set(
    make_cfg, portrait, setting, data_set, wanted, megabytes
):
    cfg = make_cfg("INPUT.AS_SEEN", setting, "DATALOADER.CACHE_MB", megabytes).clone()
    cfg.defrost()
    cfg.DATASET.NAME = data_set
    wrapper = DatasetWrapper(cfg, [portrait])
    for _ in range(2):  # the second time from the cache
        assert is_as_seen(wrapper[0]["img"]) == wanted
    loader = build_data_loader(cfg, data_source=[portrait], tfm=is_as_seen)
    assert next(iter(loader))["img"].tolist() == [wanted]


def test_a_host_whose_settings_lack_the_key_reads_as_stored(make_cfg, portrait):
    cfg = make_cfg().clone()
    cfg.defrost()
    del cfg.INPUT["AS_SEEN"]
    assert not is_as_seen(DatasetWrapper(cfg, [portrait])[0]["img"])


def test_any_other_setting_is_refused_before_readers_write_anything(make_cfg, data_root):
    before = sorted(data_root.rglob("*"))
    with pytest.raises(ValueError, match=r'INPUT\.AS_SEEN is "upright".*"auto", "yes" and "no"'):
        DataManager(make_cfg("INPUT.AS_SEEN", "upright"))
    assert sorted(data_root.rglob("*")) == before


def test_wrappers_of_the_stock_signature_go_on_working(make_cfg, portrait):
    class Own:
        def __init__(self, cfg, data_source, transform=None, is_train=False):
            self.length = len(data_source)

        def __len__(self):
            return self.length

        def __getitem__(self, index):
            return index

    class Derived(DatasetWrapper):
        def __init__(self, cfg, data_source, transform=None, is_train=False):
            super().__init__(cfg, data_source, transform, is_train)

    cfg = make_cfg("INPUT.AS_SEEN", "yes")
    loader = build_data_loader(cfg, data_source=[portrait], tfm=is_as_seen, dataset_wrapper=Own)
    assert next(iter(loader)).tolist() == [0]
    loader = build_data_loader(cfg, data_source=[portrait], tfm=is_as_seen, dataset_wrapper=Derived)
    assert next(iter(loader))["img"].tolist() == [True]


@pytest.fixture
def folder(tmp_path, portrait):
    """Two class folders, in one of which a scan has values without a common meaning."""
    for name in ("badger", "red_fox"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(4):
            path = tmp_path / "pictures" / name / f"{i}.png"
            path.write_bytes((tmp_path / "portrait.png").read_bytes())
    wide = Image.fromarray(np.array([[0, 70000]], np.int32))
    wide.save(tmp_path / "pictures" / "badger" / "scan.tif")
    return tmp_path / "pictures"


def test_a_folder_of_pictures_is_read_as_seen(make_cfg, folder):
    assert DATASET_REGISTRY.get("ImageFolder").as_seen
    options = ("DATASET.NAME", "ImageFolder", "DATASET.ROOT", folder, "DATASET.NUM_SHOTS", -1)
    cfg = make_cfg(*options, "DATALOADER.SKIP_BAD_IMAGES", True)
    dm = DataManager(cfg, custom_tfm_train=is_as_seen, custom_tfm_test=is_as_seen)
    for loader in (dm.train_loader_x, dm.val_loader, dm.test_loader):
        assert all(batch["img"].all() for batch in loader)


def test_a_deep_check_says_what_training_would_say(folder):
    (finding,) = check(["image_folder"], str(folder), deep=True)
    (problem,) = finding.problems
    assert "scan.tif" in problem and "integers from 0 to 70000" in problem
