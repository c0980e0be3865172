"""Section 7: loaders, the wrapper, the manager, samplers; and the stand-in's image cache."""

import random

import numpy as np
import pytest
import torch
from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DatasetBase, Datum
from dassl.data.samplers import build_sampler
from PIL import Image
from torch.utils.data import RandomSampler, SequentialSampler


@pytest.fixture
def records(tmp_path):
    """`records(3)`: that many records of pictures that differ in size."""

    def make(number):
        made = []
        for i in range(number):
            path = tmp_path / f"{i}.png"
            pixels = np.random.default_rng(i).integers(0, 255, (6 + i, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(path)
            made.append(Datum(str(path), label=i % 2, domain=1, classname="x"))
        return made

    return make


@pytest.mark.parametrize(
    ("number", "is_train", "batches"), [(10, True, 2), (10, False, 3), (3, True, 1), (4, True, 1)]
)
def test_training_drops_a_partial_batch_unless_it_is_the_only_one(
    make_cfg, records, number, is_train, batches
):
    transform = _size_only
    loader = build_data_loader(
        make_cfg(), data_source=records(number), batch_size=4, tfm=transform, is_train=is_train
    )
    assert len(loader) == len(list(loader)) == batches


def _size_only(image):
    return image.size[1]


def test_loaders_bring_no_random_machinery_of_their_own(make_cfg, records):
    loader = build_data_loader(make_cfg(), "RandomSampler", records(4), 2, tfm=_size_only)
    assert type(loader.sampler) is RandomSampler
    assert loader.generator is loader.sampler.generator is loader.worker_init_fn is None
    assert not loader.persistent_workers
    assert loader.collate_fn is torch.utils.data.default_collate
    assert loader.pin_memory == torch.cuda.is_available()


def test_an_empty_loader_names_the_data_set_and_where_it_looked(make_cfg):
    with pytest.raises(AssertionError, match=r"training loader of data set Shapes.*data"):
        build_data_loader(make_cfg(), data_source=[])


def test_an_empty_test_split_is_named(make_cfg, monkeypatch):
    monkeypatch.setattr(DatasetBase, "test", property(lambda self: []))
    with pytest.raises(AssertionError, match=r"test split of data set Shapes is empty.*shapes"):
        DataManager(make_cfg())


def test_an_item_is_a_dict_of_image_and_record(make_cfg, records):
    data = records(2)
    wrapper = DatasetWrapper(make_cfg(), data, transform=_size_only)
    assert len(wrapper) == 2
    assert wrapper[1] == {
        "label": 1, "domain": 1, "impath": data[1].impath, "index": 1, "img": 7
    }  # fmt: skip
    assert DatasetWrapper(make_cfg(), data)[1]["img"].size == (9, 7)


def test_several_transforms_and_several_views(make_cfg, records):
    cfg = make_cfg("DATALOADER.K_TRANSFORMS", 2, "DATALOADER.RETURN_IMG0", True)
    draws = iter(range(100))
    transforms = [lambda image: next(draws), lambda image: -next(draws)]
    item = DatasetWrapper(cfg, records(1), transform=transforms, is_train=True)[0]
    assert item["img"] == [0, 1] and item["img2"] == [-2, -3]
    assert item["img0"].shape == (3, 8, 8)
    assert item["img0"].min() < 0  # normalised, as the config's transforms say
    single = DatasetWrapper(cfg, records(1), transform=transforms[0], is_train=False)[0]
    assert single["img"] == 4
    with pytest.raises(ValueError, match="K_TRANSFORMS is 2"):
        DatasetWrapper(cfg, records(1), is_train=True)


def test_the_wrapper_reaches_workers_that_are_not_forked(make_cfg, records):
    import pickle

    wrapper = DatasetWrapper(make_cfg("DATALOADER.CACHE_MB", 1), records(2), transform=_size_only)
    assert pickle.loads(pickle.dumps(wrapper))[1]["img"] == wrapper[1]["img"] == 7


def test_the_manager_builds_all_loaders_and_prints_the_table(make_cfg, capsys):
    dm = DataManager(make_cfg())
    assert dm.num_classes == 4 and dm.num_source_domains == 0
    assert dm.lab2cname == {0: "bar", 1: "cross", 2: "disc", 3: "ring"}
    assert len(dm.train_loader_x.dataset) == 16 and dm.train_loader_u is None
    assert type(dm.test_loader.sampler) is SequentialSampler
    assert dm.train_loader_x.dataset.is_train and not dm.val_loader.dataset.is_train
    assert capsys.readouterr().out.endswith(
        "---------  ------\n"
        "Dataset    Shapes\n"
        "# classes  4\n"
        "# train_x  16\n"
        "# val      8\n"
        "# test     8\n"
        "---------  ------\n"
    )


def test_custom_transforms_and_wrappers_are_used(make_cfg, capsys):
    class Wrapper(DatasetWrapper):
        pass

    dm = DataManager(make_cfg(), _size_only, _size_only, dataset_wrapper=Wrapper)
    assert type(dm.train_loader_x.dataset) is Wrapper
    assert next(iter(dm.test_loader))["img"].unique().tolist() == [12]
    out = capsys.readouterr().out
    assert "* Using custom transform for training\n* Using custom transform for testing\n" in out
    assert "Building transform" not in out


def test_unlabelled_data_gets_a_loader(make_cfg, records, monkeypatch):
    data = records(5)
    monkeypatch.setattr(DatasetBase, "train_u", property(lambda self: data))
    assert len(DataManager(make_cfg()).train_loader_u) == 1


def test_plain_samplers_draw_nothing_when_built(records):
    state, python = torch.get_rng_state(), random.getstate()
    for name in ("RandomSampler", "SequentialSampler"):
        build_sampler(name, data_source=[1, 2])
    assert torch.equal(state, torch.get_rng_state()) and python == random.getstate()
    for name in ("Sampler", "RandomDomainSampler", "RandomClassSampler"):
        with pytest.raises(ValueError, match=f"Unknown sampler type: {name}. There are"):
            build_sampler(name)


# The image cache and unreadable images: what only the stand-in has.


def epochs_of(cfg, data):
    """Two epochs of batches of a training loader, and the loader."""
    from dassl.data.transforms import build_transform

    torch.manual_seed(3)
    random.seed(3)
    tfm = build_transform(cfg)
    loader = build_data_loader(cfg, "RandomSampler", data, batch_size=4, tfm=tfm)
    return [batch for _ in range(2) for batch in loader], loader


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("megabytes", [1, 100])
def test_batches_are_the_same_with_and_without_a_cache(make_cfg, records, workers, megabytes):
    data = records(8)
    options = ("DATALOADER.NUM_WORKERS", workers)
    plain, _ = epochs_of(make_cfg(*options), data)
    cached, loader = epochs_of(make_cfg(*options, "DATALOADER.CACHE_MB", megabytes), data)
    for one, other in zip(plain, cached, strict=True):
        assert one["impath"] == other["impath"]
        assert torch.equal(one["img"], other["img"])
    # Filled from the workers too, although these are gone after each epoch.
    assert len(loader.dataset._cache) == 8


def test_an_image_is_decoded_once_whoever_decodes_it(make_cfg, records):
    from pathlib import Path

    data = records(8)
    options = ("DATALOADER.CACHE_MB", 1, "DATALOADER.NUM_WORKERS", 2)
    _, loader = epochs_of(make_cfg(*options), data)
    for item in data:
        Path(item.impath).unlink()
    assert sum(len(batch["img"]) for batch in loader) == 8


def test_the_budget_is_kept_and_shared_by_all_loaders(make_cfg, tmp_path):
    data = []
    for i in range(4):
        path = tmp_path / f"large{i}.png"
        Image.new("RGB", (400, 400), (i, i, i)).save(path)  # 480,000 bytes decoded
        data.append(Datum(str(path)))
    cfg = make_cfg("DATALOADER.CACHE_MB", 1)
    first, second = DatasetWrapper(cfg, data[:1]), DatasetWrapper(cfg, data[1:])
    for _ in range(2):
        assert [first[0]["img"].getpixel((0, 0))[0]] == [0]
        assert [second[i]["img"].getpixel((9, 9))[0] for i in range(3)] == [1, 2, 3]
    assert len(first._cache) == 1
    assert len(second._cache) == 1


def test_without_a_cache_none_is_made(make_cfg, records):
    assert DatasetWrapper(make_cfg(), records(1))._cache is None


def break_images(data, *positions):
    for i in positions:
        with open(data[i].impath, "r+b") as file:
            file.truncate(60)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(make_cfg, records, workers):
    data = records(4)
    break_images(data, 2)
    cfg = make_cfg("DATALOADER.NUM_WORKERS", workers)
    loader = build_data_loader(cfg, data_source=data, tfm=_size_only)
    with pytest.raises(OSError, match=r"2\.png"):
        list(loader)
