"""Trouble while data sets are got: one line each, nothing half-made, and the next call goes on."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import zipfile
from types import SimpleNamespace

import pytest
from data_server import Behaviour
from fewshot_datasets.get import getting
from fewshot_datasets.get.hub import for_browsers
from filelock import FileLock
from said import line

# What is in the way.


def test_a_link_to_an_incomplete_folder_is_not_added_to(world, tmp_path, capsys):
    mine = tmp_path / "mine"
    (mine / "banded").mkdir(parents=True)
    (tmp_path / "data/dtd").mkdir(parents=True)
    (tmp_path / "data/dtd/images").symlink_to(mine)
    assert world.get(tmp_path / "data", "dtd") == 1
    assert "is a symbolic link" in capsys.readouterr().out
    assert os.listdir(mine) == ["banded"] and os.listdir(mine / "banded") == []


def test_a_data_set_whose_directory_is_a_link_is_made_where_that_leads(world, tmp_path):
    """As people do who keep ImageNet on another disk: nothing is renamed across file systems."""
    disk = tmp_path / "disk/dtd"
    disk.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dtd").symlink_to(disk)
    assert world.get(tmp_path / "data", "dtd") == 0
    assert world.is_whole(tmp_path / "disk", "dtd")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["dtd"]
    assert [path.name for path in (tmp_path / "disk/.get").iterdir()] == ["dtd.lock"]


def test_a_link_to_nothing_is_named(world, tmp_path, capsys):
    (tmp_path / "dtd").mkdir()
    (tmp_path / "dtd/images").symlink_to(tmp_path / "gone")
    assert world.get(tmp_path, "dtd") == 1
    assert f"{tmp_path}/dtd/images is a symbolic link to nothing" in capsys.readouterr().out


def test_a_file_where_a_folder_belongs_is_named_and_stays(world, tmp_path, capsys):
    (tmp_path / "dtd").write_text("mine")
    assert world.get(tmp_path, "dtd") == 1
    assert str(tmp_path / "dtd") in capsys.readouterr().out
    assert (tmp_path / "dtd").read_text() == "mine"


def test_a_folder_that_cannot_be_looked_into_stops_its_data_set_alone(
    world, tmp_path, capsys, monkeypatch
):
    (tmp_path / "imagenet-adversarial/imagenet-a/n01").mkdir(parents=True)
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("imagenet-a"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert world.get(tmp_path, "imagenet_a", "dtd") == 1
    text = line(capsys, "imagenet_a is not complete")
    assert f"cannot read {tmp_path}/imagenet-adversarial/imagenet-a (Permission denied)" in text
    assert world.is_whole(tmp_path, "dtd")


# Disks, rights, interruptions.


def test_a_full_disk_is_one_line_and_the_next_call_goes_on(world, tmp_path, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/member.jpg")

    with monkeypatch.context() as patch:
        patch.setattr(getting, "unpack", full)
        assert world.get(tmp_path, "food101") == 1
    assert "No space left on device" in capsys.readouterr().out
    made = sorted(path.name for path in (tmp_path / "food-101").iterdir())
    assert made == ["fetched.json", "split_zhou_Food101.json"]
    assert not (tmp_path / ".get/food101/unpacked").exists()
    world.server.requests.clear()
    assert world.get(tmp_path, "food101") == 0
    assert world.server.asked("GET", world.ways("food101")[0][0]) == []  # it was whole


def test_an_archive_that_unpacks_to_more_than_is_free_is_kept_for_the_next_call(
    world, tmp_path, capsys, monkeypatch
):
    free = SimpleNamespace(free=4000)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda place: free)
        assert world.get(tmp_path, "food101") == 1
    text = line(capsys, "food101 is not complete")
    assert "more is unpacked than the 4,000 bytes free" in text
    assert f" kB that were fetched are kept in {tmp_path}/.get/food101/downloads" in text
    assert not (tmp_path / ".get/food101/unpacked").exists()
    assert not world.server.asked("GET", world.ways("food101")[1][0])  # another has no more room
    world.server.requests.clear()
    assert world.get(tmp_path, "food101") == 0 and world.is_whole(tmp_path, "food101")
    assert world.server.asked("GET", world.ways("food101")[0][0]) == []


def test_a_bomb_leads_to_the_next_source(world, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(getting, "SMALL", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("food-101/images/apple_pie/0.jpg", bytes(1 << 21))
    content = (tmp_path / "bomb.zip").read_bytes()
    world.fail(world.ways("food101")[0], Behaviour(content=content))
    assert world.get(tmp_path / "data", "food101") == 0
    assert "food101.zip: it unpacks to more than the 1,048,576 bytes" in capsys.readouterr().out
    assert world.is_whole(tmp_path / "data", "food101")


def test_a_copy_for_which_there_is_no_room_names_the_place(world, tmp_path, capsys, monkeypatch):
    def full(source, goal):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, goal)

    monkeypatch.setattr("shutil.copyfile", full)
    words = ["--from", str(world.root), "--link", "copy", "--offline"]
    assert world.get(tmp_path, "fgvc_aircraft", *words) == 1
    assert f" to {tmp_path}/.get/" in line(capsys, "fgvc_aircraft is not complete")


def test_a_root_that_cannot_be_made_is_one_line(world, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert world.get(tmp_path / "file/data", "dtd") == 1
    assert f"cannot write {tmp_path}/file/data" in line(capsys, "dtd is not complete")


def test_an_interruption_is_one_line_and_leaves_nothing_half_made(
    world, tmp_path, capsys, monkeypatch
):
    def interrupted(path, folder, *args, **kwargs):
        (folder / "half").write_text("made")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(getting, "unpack", interrupted)
        with pytest.raises(SystemExit) as ended:
            world.get(tmp_path, "food101")
    assert ended.value.code == 130
    assert "goes on where it stopped" in line(capsys, "interrupted")
    assert not list(tmp_path.rglob("half"))
    assert world.get(tmp_path, "food101") == 0 and world.is_whole(tmp_path, "food101")


def test_two_calls_at_once_fetch_once(world, tmp_path, capsys):
    (tmp_path / ".get").mkdir()
    results = []
    with FileLock(tmp_path / ".get/dtd.lock"):
        threads = [
            threading.Thread(target=lambda: results.append(world.get(tmp_path, "dtd")))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        assert not (tmp_path / "dtd").exists()
    for thread in threads:
        thread.join()
    assert results == [0, 0]
    assert capsys.readouterr().out.count("another call gets it") == 2
    (zip_of_the_hub,) = world.ways("dtd")[0]
    assert len(world.server.asked("GET", zip_of_the_hub)) <= 2  # the hub's link, and the file
    assert world.is_whole(tmp_path, "dtd")


@pytest.mark.parametrize("name", ["filelock", "requests", "huggingface_hub"])
def test_a_library_that_is_missing_is_one_line(name, world, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert world.get(tmp_path, "dtd") == 1
    said = line(capsys, "is not complete")
    assert f"needs {name}: pip install " in said and '"dassl-standin[data]"' in said
    assert not (tmp_path / "dtd/images").exists()


# Networks.


def test_without_a_network_it_says_so_at_once_and_how_to_go_on(
    world, tmp_path, capsys, monkeypatch
):
    nowhere = "http://127.0.0.1:9"
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, nowhere)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HF_ENDPOINT")
    began = time.monotonic()
    assert world.get(tmp_path, "dtd", "eurosat") == 1
    assert time.monotonic() - began < 10
    out = capsys.readouterr().out
    assert out.count("no network") == 1
    for config in ("dtd", "eurosat"):
        for way in world.entries[config].ways:
            assert all(for_browsers(remote.address) in out for remote in way)
        assert f"{config} is not complete: no " in out
        assert f"  terms: {world.entries[config].page}" in out
    assert "https://huggingface.co/zhengli97/prompt_learning_dataset/resolve/main/dtd.zip" in out
    assert "hf://" not in out  # which no browser knows
    assert out.count("--from FOLDER") == 1 and "get dtd eurosat --root" in out


def test_offline_asks_no_address(world, tmp_path):
    assert world.get(tmp_path, "dtd", "--offline") == 1
    assert world.server.requests == []
