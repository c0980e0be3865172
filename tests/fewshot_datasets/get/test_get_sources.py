"""What a person names or has, in place of the shipped list of sources."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace

from fewshot_datasets.get.catalogue import Remote
from layouts_of_imagenet import imagenet_tars
from said import line
from worlds import without_addresses, write_sources


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


def test_a_mirror_of_paths_needs_no_network(world, tmp_path):
    entry = world.entries["dtd"]
    split = world.root / "dtd/split_zhou_DescribableTextures.json"
    archive = world.server.folder / world.ways("dtd")[1][0]
    (document,) = entry.documents
    local = replace(document, sources=(Remote(str(split)),))
    entry = replace(entry, documents=(local,), ways=((Remote(str(archive)),),))
    mine = write_sources(tmp_path / "mirror.yaml", {"dtd": entry})
    assert replace(world, sources=mine).get(tmp_path / "data", "dtd", "--offline") == 0
    assert world.is_whole(tmp_path / "data", "dtd")


def test_an_archive_that_holds_nothing_of_what_is_lacking_is_not_unpacked(
    world, tmp_path, capsys, monkeypatch
):
    """ImageNet's largest archive has 138 GB."""
    have = tmp_path / "have"
    imagenet_tars(have)
    devkit = (have / "ILSVRC2012_devkit_t12.tar.gz").rename(tmp_path / "devkit.tar.gz")
    words = ["imagenet", "--from", str(have)]
    assert world.get(tmp_path / "data", *words) == 1
    out = capsys.readouterr().out
    assert out.count("not used") == 1
    assert "not used: ILSVRC2012_img_val has no class folders" in out
    # Nor is it named among what is still to be fetched.
    assert "/ILSVRC2012_img_val.tar" in out and "/ILSVRC2012_img_train.tar" not in out
    devkit.rename(have / "ILSVRC2012_devkit_t12.tar.gz")
    assert world.get(tmp_path / "data", *words) == 0
    out = capsys.readouterr().out
    assert "unpack ILSVRC2012_img_val.tar" in out and "img_train.tar" not in out


def test_a_picture_at_hand_that_cannot_be_read_leads_to_the_next_source(
    world, tmp_path, capsys, monkeypatch
):
    def refuse(source, goal):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), source)

    copy = shutil.copyfile
    monkeypatch.setattr(
        shutil, "copyfile", lambda a, b: (refuse if "banded_0001" in str(a) else copy)(a, b)
    )
    words = ["dtd", "--link", "copy", "--from", str(world.root / "dtd/images")]
    assert world.get(tmp_path, *words) == 0
    assert "banded_0001.jpg cannot be read (Permission denied)" in line(capsys, "not used")


def test_of_an_archive_at_hand_no_sum_is_computed(world, tmp_path):
    archive = world.server.folder / world.ways("dtd")[0][0]
    assert world.get(tmp_path, "dtd", "--offline", "--from", str(archive)) == 0
    assert sorted(os.listdir(tmp_path / "dtd")) == ["images", "split_zhou_DescribableTextures.json"]


def test_a_record_that_is_none_is_written_anew(world, tmp_path):
    (tmp_path / "dtd").mkdir()
    (tmp_path / "dtd/fetched.json").write_text("mine")
    assert world.get(tmp_path, "dtd") == 0
    assert "dtd.zip" in (tmp_path / "dtd/fetched.json").read_text()


def test_a_mirrors_list_takes_the_place_of_ours(world, tmp_path):
    (name,) = world.ways("dtd")[1]
    mirrored = ((Remote(world.server.address(name)),),)
    entry = replace(without_addresses(world.entries["dtd"]), ways=mirrored)
    mine = write_sources(tmp_path / "mirror.yaml", {"dtd": entry})
    assert replace(world, sources=mine).get(tmp_path / "data", "dtd") == 1
    assert (tmp_path / "data/dtd/images").is_dir()  # all but the split, which nobody serves
