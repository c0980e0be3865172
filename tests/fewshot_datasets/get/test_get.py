"""`get` against a server on the loopback address that plays every source of every data set."""

from __future__ import annotations

import json

import pytest
from data_server import Behaviour
from fewshot_datasets import PUBLISHED
from fewshot_datasets.check import check
from fewshot_datasets.get import getting
from worlds import content

FETCHED = [config for config in PUBLISHED if config != "imagenet"]
SOURCES = [(c, n) for c in FETCHED for n in range({"eurosat": 3}.get(c, 2))]
HTML = Behaviour(page="<html><head><title>Quota exceeded</title></head></html>")


def test_the_tests_below_cover_every_way(world):
    assert [(c, n) for c in FETCHED for n in range(len(world.ways(c)))] == SOURCES


@pytest.mark.parametrize(("config", "number"), SOURCES)
def test_every_source_serves_when_those_before_it_fail(config, number, world, tmp_path):
    for way in world.ways(config)[:number]:
        world.fail(way)
    assert world.get(tmp_path, config) == 0
    assert world.is_whole(tmp_path, config)
    assert check([config], str(tmp_path))[0].usable
    assert [path.name for path in (tmp_path / ".get").iterdir()] == [f"{config}.lock"]


@pytest.mark.parametrize("config", [c for c in FETCHED if c != "fgvc_aircraft"])
def test_a_document_comes_from_its_next_source(config, world, tmp_path):
    first, *others = world.documents(config)
    if others:
        world.fail([first])
    assert world.get(tmp_path, config) == 0
    assert world.is_whole(tmp_path, config)


def test_one_call_without_names_gets_all_that_can_be_fetched(world, tmp_path, capsys):
    assert world.get(tmp_path) == 1
    assert all(world.is_whole(tmp_path, config) for config in FETCHED)
    out = capsys.readouterr().out
    amount, sign_up, *_ = out.splitlines()
    assert amount.startswith("14 data sets to fetch: about 27.1 kB and 13 archives of unknown size")
    assert amount.endswith("free, which is enough for what is known")
    assert sign_up == "imagenet is not fetched: it needs a sign-up at image-net.org"
    assert "ILSVRC2012_img_train.tar" in out
    # One drive serves the class names of five data sets.
    (names,) = world.documents("imagenet")
    assert len(world.server.asked("GET", names)) == 1


def test_what_is_there_is_not_fetched_again(world, tmp_path, capsys):
    assert world.get(tmp_path, "dtd", "fgvc_aircraft", "imagenet_r") == 0
    world.server.requests.clear()
    capsys.readouterr()
    assert world.get(tmp_path, "dtd", "fgvc_aircraft", "imagenet_r") == 0
    assert world.server.requests == []
    assert capsys.readouterr().out.count("is there already") == 3


def test_where_it_came_from_is_kept_with_its_sums(world, tmp_path):
    world.get(tmp_path, "dtd")
    split, pictures = json.loads((tmp_path / "dtd" / getting.RECORD).read_text())
    assert split["name"] == "split_zhou_DescribableTextures.json"
    (remote,) = world.entries["dtd"].ways[0]
    assert (pictures["address"], pictures["sha256"]) == (remote.address, remote.sha256)
    assert pictures["size"] == remote.size


FAULTS = {
    "missing": (Behaviour(status=404), "404"),
    "forbidden": (Behaviour(status=403), "403"),
    "a web page": (HTML, "Quota exceeded"),
    "another file": (Behaviour(content=b"PK\x03\x04 something else"), "right"),
    "a shorter file": (Behaviour(content=b"\x1f\x8b"), "right"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_fails_leads_to_the_next_and_leaves_nothing(fault, world, tmp_path, capsys):
    does, named = FAULTS[fault]
    world.fail(world.ways("eurosat")[0] + world.ways("eurosat")[1])
    world.fail(world.ways("eurosat")[2], does)
    assert world.get(tmp_path, "eurosat") == 1
    out = capsys.readouterr().out
    assert named in out
    assert not (tmp_path / "eurosat/2750").exists()
    assert not list(tmp_path.rglob("*.zip*"))
    world.server.behaviour.clear()
    assert world.get(tmp_path, "eurosat") == 0 and world.is_whole(tmp_path, "eurosat")


def test_an_archive_without_a_sum_that_lacks_an_image_is_not_used(world, tmp_path, capsys):
    """The hub's zip of EuroSAT has no known sum: what decides are the images in it."""
    hub = world.server.folder / world.ways("eurosat")[0][0]
    short = _without(hub.read_bytes(), "AnnualCrop_3.jpg", tmp_path / "short.zip")
    world.fail(world.ways("eurosat")[0], Behaviour(content=short))
    assert world.get(tmp_path / "data", "eurosat") == 0
    out = capsys.readouterr().out
    assert "1 of 100 images that split_zhou_EuroSAT.json names are not in 2750" in out
    assert world.is_whole(tmp_path / "data", "eurosat")
    assert not list(tmp_path.rglob("eurosat.zip*"))


def _without(archive: bytes, member: str, path) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(path, "w") as new:
        names = [name for name in old.namelist() if not name.endswith(member)]
        assert len(names) == len(old.namelist()) - 1
        for name in names:
            new.writestr(name, old.read(name))
    return path.read_bytes()


def test_a_cut_download_goes_on_where_it_stopped(world, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot_datasets.get.session.TRIES", 1)
    (name,) = world.ways("oxford_pets")[1]
    world.fail(world.ways("oxford_pets")[0])
    world.fail([name], Behaviour(cut=700))
    assert world.get(tmp_path, "oxford_pets") == 1
    part = next(tmp_path.rglob("images.tar.gz.part"))
    came = part.stat().st_size
    assert came >= 700 and not (tmp_path / "oxford_pets/images").exists()
    del world.server.behaviour[name]
    world.server.requests.clear()
    assert world.get(tmp_path, "oxford_pets") == 0
    assert world.server.asked("GET", name)[0].headers["range"] == f"bytes={came}-"
    assert world.is_whole(tmp_path, "oxford_pets")


def test_of_several_archives_only_those_of_missing_parts_are_fetched(world, tmp_path):
    world.fail(world.ways("stanford_cars")[0])
    assert world.get(tmp_path, "stanford_cars") == 0
    next((tmp_path / "stanford_cars/cars_test").iterdir()).unlink()
    world.server.requests.clear()
    assert world.get(tmp_path, "stanford_cars") == 0
    train, test = world.ways("stanford_cars")[1]
    assert world.server.asked("GET", test) and not world.server.asked("GET", train)


def test_files_that_are_there_stay_and_missing_ones_are_added(world, tmp_path):
    assert world.get(tmp_path, "food101") == 0
    images = tmp_path / "food-101/images"
    kept, gone = sorted(images.rglob("*.jpg"))[:2]
    gone.unlink()
    kept.write_bytes(b"the owner's")
    assert world.get(tmp_path, "food101") == 0
    assert kept.read_bytes() == b"the owner's"
    kept.write_bytes(
        content(world.root, "food101", world.entries["food101"])[
            kept.relative_to(tmp_path / "food-101").as_posix()
        ]
    )
    assert world.is_whole(tmp_path, "food101")
