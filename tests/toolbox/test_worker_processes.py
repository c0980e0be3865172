"""Loader workers under every start method, and the image cache where processes cannot fork."""

import multiprocessing
import os

import pytest
import torch
from dassl.data import DataManager
from dassl.data import _cache as cache_module
from dassl.data.data_manager import build_data_loader
from dassl.data.transforms import build_transform


@pytest.fixture
def without_fork(monkeypatch):
    """As on Windows: neither `os.fork` nor a context of that name."""
    get_context = multiprocessing.get_context

    def get(method=None):
        if method == "fork":
            raise ValueError("cannot find context for 'fork'")
        return get_context(method or "spawn")

    monkeypatch.setattr(multiprocessing, "get_context", get)
    monkeypatch.delattr(os, "fork", raising=False)
    monkeypatch.setattr(cache_module, "_arenas", {})
    cache_module._say_it_is_off.cache_clear()
    yield
    cache_module._say_it_is_off.cache_clear()


def images_of(loader):
    return torch.cat([batch["img"] for batch in loader])


@pytest.mark.parametrize("missing", ["context", "os.fork", "both"])
def test_without_fork_the_main_process_keeps_images(make_cfg, monkeypatch, without_fork, missing):
    if missing == "context":
        monkeypatch.setattr(os, "fork", lambda: None, raising=False)
    if missing == "os.fork":
        monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: None)
    plain = DataManager(make_cfg("DATALOADER.NUM_WORKERS", 0)).test_loader
    cached = DataManager(make_cfg("DATALOADER.NUM_WORKERS", 0, "DATALOADER.CACHE_MB", 1))
    for _ in range(2):
        assert torch.equal(images_of(cached.test_loader), images_of(plain))
    assert len(cached.test_loader.dataset._cache) == 8


def test_without_fork_workers_decode_for_themselves_and_say_so_once(make_cfg, without_fork, capsys):
    dm = DataManager(make_cfg("DATALOADER.NUM_WORKERS", 1, "DATALOADER.CACHE_MB", 1))
    for loader in (dm.train_loader_x, dm.val_loader, dm.test_loader):
        assert loader.dataset._cache is None and loader.multiprocessing_context is None
    assert capsys.readouterr().out.count("DATALOADER.CACHE_MB is without effect") == 1


@pytest.mark.long
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_give_the_same_batches(make_cfg, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no start method {method}")
    cfg = make_cfg("DATALOADER.NUM_WORKERS", 1, "DATALOADER.RETURN_IMG0", True)
    items = DataManager(cfg).dataset.test
    loader = build_data_loader(cfg, data_source=items, tfm=build_transform(cfg, is_train=False))
    wanted = next(iter(loader))
    loader.multiprocessing_context = method
    found = next(iter(loader))
    assert found["impath"] == wanted["impath"]
    assert torch.equal(found["img"], wanted["img"]) and torch.equal(found["img0"], wanted["img0"])


def test_wrappers_records_and_transforms_pickle(make_cfg):
    import pickle

    options = (
        "INPUT.TRANSFORMS",
        "('random_resized_crop','random_flip','colorjitter','normalize')",
    )
    dm = DataManager(make_cfg(*options, "DATALOADER.CACHE_MB", 1))
    for loader in (dm.train_loader_x, dm.val_loader, dm.test_loader):
        again = pickle.loads(pickle.dumps(loader.dataset))
        torch.manual_seed(0)
        wanted = loader.dataset[0]["img"]
        torch.manual_seed(0)
        assert torch.equal(again[0]["img"], wanted)
