"""Trouble while data sets are got: one line each, nothing half-made, and the next call goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from data_server import Behaviour
from fewshot_datasets.get import getting
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.tables import browsable
from filelock import FileLock
from worlds import without_addresses, write_sources


def visible(root: Path) -> list[str]:
    """All that lies in the data root, but the folder of what is not finished."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if ".get" not in p.parts)


def line(capsys, word: str) -> str:
    """The one line that has the word."""
    captured = capsys.readouterr()
    (found,) = {text for text in (captured.out + captured.err).splitlines() if word in text}
    return found


# Splits are the published ones or none.


def test_a_split_of_other_bytes_and_the_same_content_is_taken_and_said(world, tmp_path, capsys):
    text = (world.root / "dtd/split_zhou_DescribableTextures.json").read_text()
    world.fail(world.documents("dtd"), Behaviour(content=json.dumps(json.loads(text)).encode()))
    assert world.get(tmp_path, "dtd") == 0
    assert "the same content" in line(capsys, "other bytes")


def test_another_split_is_not_taken_and_the_archives_own_serves(world, tmp_path, capsys):
    path = world.root / "dtd/split_zhou_DescribableTextures.json"
    lists = json.loads(path.read_text())
    lists["train"].reverse()
    world.fail(world.documents("dtd"), Behaviour(content=json.dumps(lists).encode()))
    assert world.get(tmp_path, "dtd") == 0
    assert capsys.readouterr().out.count("another benchmark") == 2
    assert (tmp_path / "dtd" / path.name).read_bytes() == path.read_bytes()


def test_without_a_published_split_none_is_made(world, tmp_path, capsys):
    world.fail(world.documents("dtd"))
    world.fail(world.ways("dtd")[0])  # the hub's zip has the split
    assert world.get(tmp_path, "dtd") == 1
    out = capsys.readouterr().out
    assert "dtd is not complete: no split_zhou_DescribableTextures.json" in out
    assert sorted(os.listdir(tmp_path / "dtd")) == ["fetched.json", "images"]
    assert f"python -m fewshot_datasets.get dtd --root {tmp_path} --from FOLDER" in out


def test_a_split_of_the_owners_own_stops_the_data_set_and_stays(world, tmp_path, capsys):
    mine = tmp_path / "dtd/split_zhou_DescribableTextures.json"
    mine.parent.mkdir()
    mine.write_text('{"train": [], "val": [], "test": []}')
    assert world.get(tmp_path, "dtd") == 1
    assert "Move it away" in line(capsys, "dtd is not complete")
    assert visible(tmp_path) == ["dtd", f"dtd/{mine.name}"]
    assert world.server.requests == []


def test_a_published_list_of_another_length_is_not_taken(world, tmp_path, capsys):
    short = tmp_path / "theirs/images_variant_test.txt"
    shutil.copytree(world.root / "fgvc_aircraft", short.parent)
    short.write_text("".join(short.read_text().splitlines(keepends=True)[1:]))
    words = ["fgvc_aircraft", "--offline", "--from", str(short.parent)]
    assert world.get(tmp_path / "data", *words) == 1
    assert "11 lines in images_variant_test.txt, 12 are right" in line(capsys, "not used")
    shutil.copytree(short.parent, tmp_path / "mine/fgvc_aircraft")
    assert world.get(tmp_path / "mine", "fgvc_aircraft") == 1
    assert "12 are right. Move it away" in line(capsys, "not complete")
    assert (tmp_path / "mine/fgvc_aircraft" / short.name).read_text() == short.read_text()


def test_more_images_than_were_published_stop_the_data_set(world, tmp_path, capsys):
    mine = tmp_path / "imagenet-rendition"
    shutil.copytree(world.root / mine.name, mine)
    next(mine.rglob("*_1.jpg")).with_name("mine.jpg").write_text("")
    assert world.get(tmp_path, "imagenet_r") == 1
    assert "images in imagenet-r," in (text := line(capsys, "not complete"))
    assert f"{mine}/imagenet-r is not" in text and "Move it away" in text
    assert world.server.requests == []


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
            assert all(browsable(remote.address) in out for remote in way)
        assert f"{config} by hand (terms: {world.entries[config].page})" in out
    assert "--from FOLDER" in out


def test_offline_asks_no_address(world, tmp_path):
    assert world.get(tmp_path, "dtd", "--offline") == 1
    assert world.server.requests == []


# Sources of one's own.


def test_a_given_file_takes_the_place_of_the_sources(world, tmp_path):
    (name,) = world.ways("dtd")[1]
    file = world.server.folder / name
    before = file.stat().st_mtime_ns
    assert world.get(tmp_path, "dtd", "--source", str(file)) == 0
    assert all(not world.server.asked("GET", n) for way in world.ways("dtd") for n in way)
    assert file.stat().st_mtime_ns == before and world.is_whole(tmp_path, "dtd")


def test_given_addresses_for_several_data_sets(world, tmp_path):
    cars = [world.server.address(name) for name in world.ways("stanford_cars")[1]]
    scenes = world.server.address(world.ways("sun397")[1][0])
    words = [f"--source=stanford_cars={cars[0]}", f"--source=stanford_cars={cars[1]}"]
    assert world.get(tmp_path, "stanford_cars", "sun397", *words, f"--source=sun397={scenes}") == 0
    assert world.is_whole(tmp_path, "stanford_cars") and world.is_whole(tmp_path, "sun397")


def test_a_given_split_file_serves(world, tmp_path):
    world.fail(world.documents("dtd"))
    split = world.root / "dtd/split_zhou_DescribableTextures.json"
    archive = world.server.folder / world.ways("dtd")[1][0]
    words = ["--source", str(split), "--source", str(archive), "--offline"]
    assert world.get(tmp_path, "dtd", *words) == 0
    assert world.is_whole(tmp_path, "dtd")


def test_a_given_file_that_is_neither_archive_nor_split_is_said_to_be_neither(
    world, tmp_path, capsys
):
    (tmp_path / "dtd.tar.gz").write_bytes(b"\x1f\x8b and nothing more")
    words = ["--source", str(tmp_path / "dtd.tar.gz"), "--offline"]
    assert world.get(tmp_path / "data", "dtd", *words) == 1
    assert "dtd.tar.gz is no archive, and " in line(capsys, "not used")


def test_a_given_source_that_fails_is_not_replaced_in_silence(world, tmp_path, capsys):
    assert world.get(tmp_path, "dtd", "--source", world.server.address("nothing.zip")) == 1
    out = capsys.readouterr().out
    assert "nothing.zip" in out and "404" in out
    assert not (tmp_path / "dtd/images").exists()


def test_a_mirrors_list_takes_the_place_of_ours(world, tmp_path):
    (name,) = world.ways("dtd")[1]
    mirrored = ((Remote(world.server.address(name)),),)
    entry = replace(without_addresses(world.entries["dtd"]), ways=mirrored)
    mine = write_sources(tmp_path / "mirror.yaml", {"dtd": entry})
    assert replace(world, sources=mine).get(tmp_path / "data", "dtd") == 1
    assert (tmp_path / "data/dtd/images").is_dir()  # all but the split, which nobody serves
