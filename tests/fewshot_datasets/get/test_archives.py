"""Archives of data sets: what they are, what they hold, how they are unpacked."""

from __future__ import annotations

import gzip
import os
import random
import stat
import tarfile
from pathlib import Path

import pytest
from archives_made import (
    BOTH,
    PICTURES,
    every_kind,
    files,
    header,
    raw_tar,
    refused,
    tar,
    tree,
    zip64,
    zipped,
)
from fewshot_datasets.get import archives
from fewshot_datasets.get.archives import kind, member_names
from fewshot_datasets.get.errors import SourceError

# What a file is.


@pytest.mark.parametrize("name", every_kind())
def test_every_compression_is_recognised_named_and_unpacked(name, put, tmp_path):
    folder = put(every_kind()[name], name="download.jpg")
    assert kind(tmp_path / "download.jpg") == name.split()[0]
    assert tree(folder) == dict(PICTURES) | {"set/b": None}
    assert list(member_names(tmp_path / "download.jpg")) == ["set/a/1.jpg", "set/b/2.jpg"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>Quota exceeded</title>", "web page"),
        (b"<html><head>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "web page"),
        (gzip.compress(b"a gzip of no tar" * 99), ""),
        (b"\xff\xd8\xff\xe0 a picture", ""),
        (b"PK", ""),
        (b"", ""),
        (b"\x1f\x8b", ""),
        (tar([]), "tar"),
        (zipped([]), "zip"),
    ],
    ids=range(10),
)
def test_a_file_counts_as_what_it_is(content, expected, tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    assert kind(path) == expected


def test_pages_and_other_files_are_not_unpacked(put, tmp_path):
    assert "web page" in refused(put, b"<!DOCTYPE html>")
    with pytest.raises(SourceError, match="no zip or tar"):
        next(member_names(Path(__file__)))


@pytest.mark.parametrize("content", [tar([]), tar([], "gz"), zipped([])], ids=range(3))
def test_an_empty_archive_unpacks_to_nothing(content, put):
    assert tree(put(content)) == {}


def test_names_are_given_up_to_a_limit(tmp_path):
    path = tmp_path / "many.tar.xz"
    path.write_bytes(tar(((f"{i}.jpg", b"x") for i in range(50)), "xz"))
    assert list(member_names(path, limit=3)) == ["0.jpg", "1.jpg", "2.jpg"]


def test_only_the_first_part_of_a_large_archive_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LOOKED_AT", 1 << 20)
    noise = random.Random(1).randbytes(1 << 20)
    path = tmp_path / "large.tar.gz"
    path.write_bytes(tar(((f"{i}.jpg", noise) for i in range(6)), "gz"))
    assert 1 <= len(list(member_names(path))) < 6


# How it is unpacked.


@BOTH
def test_what_archivers_leave_behind_is_not_unpacked(made, put):
    left = ["__MACOSX/set/._1.jpg", "set/.DS_Store", "set/._1.jpg", "Thumbs.db"]
    folder = put(made([*((name, b"x") for name in left), ("set/1.jpg", b"1")]))
    assert files(folder) == {"set/1.jpg": b"1"}


@BOTH
def test_of_one_name_twice_the_later_counts(made, put):
    with pytest.warns(UserWarning) if made is zipped else pytest.MonkeyPatch.context():
        content = made(
            [("a/1.jpg", b"old"), ("b.jpg", b"b"), ("a/1.jpg", b"new"), ("./b.jpg", b"")]
        )
    assert files(put(content)) == {"a/1.jpg": b"new", "b.jpg": b""}


@BOTH
def test_a_backslash_separates_folders_as_on_windows(made, put):
    assert files(put(made([("set\\a\\1.jpg", b"1")]))) == {"set/a/1.jpg": b"1"}


@BOTH
def test_the_folder_itself_may_be_a_member(made, put):
    assert tree(put(made([(".", None), ("./a", None), ("./a/1.jpg", b"1")]))) == {
        "a": None,
        "a/1.jpg": b"1",
    }


def test_modes_and_times_are_those_of_new_files(put, tmp_path):
    setuid = header("a.jpg", 1, mode=0o6777, mtime=1, uid=12345)
    closed = header("b", kind=tarfile.DIRTYPE, mode=0)
    inside = header("b/1.jpg", 1, mode=0)
    old = os.umask(0o027)
    try:
        folder = put(raw_tar((setuid, b"1"), (closed, b""), (inside, b"2")))
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")}
    assert modes == {"a.jpg": 0o640, "b": 0o750, "1.jpg": 0o640}
    assert (folder / "a.jpg").stat().st_uid == os.getuid()


def test_the_modes_of_a_zip_are_not_taken_over(put):
    folder = put(zipped([("a.jpg", b"1")], mode=stat.S_IFREG | 0o6777))
    assert not (folder / "a.jpg").stat().st_mode & 0o7111


@pytest.mark.parametrize("name", every_kind())
def test_progress_adds_up_to_the_size_of_the_archive(name, put):
    told = []
    content = every_kind()[name]
    put(content, advance=told.append)
    assert sum(told) == len(content)
    assert min(told) > 0


def test_a_zip64_is_unpacked(put):
    assert files(put(zip64("a.jpg", b"1" * 999))) == {"a.jpg": b"1" * 999}


def test_a_second_name_of_an_earlier_file_has_its_content(put):
    second = header("b/2.jpg", kind=tarfile.LNKTYPE, link="./a/1.jpg")
    same = header("a/1.jpg", kind=tarfile.LNKTYPE, link="a/1.jpg")
    folder = put(raw_tar((header("a/1.jpg", 3), b"one"), (second, b""), (same, b"")))
    assert files(folder) == {"a/1.jpg": b"one", "b/2.jpg": b"one"}


def test_names_of_other_alphabets_and_of_none_are_usable(put):
    latin = header("caf\udce9.jpg", 1)  # one byte, as old systems wrote it
    if os.fsencode("\udce9") != b"\xe9":
        pytest.skip("this system has only Unicode names")
    folder = put(raw_tar((latin, b"1"), (header("茶/é.jpg", 1), b"2")))
    assert files(folder) == {"caf\udce9.jpg": b"1", "茶/é.jpg": b"2"}


def test_names_of_old_zips_are_read_in_their_code_page(put):
    content = zipped([("caf\u00e9.jpg", b"1")])
    utf8, flag = "café.jpg".encode(), 0x800
    assert utf8 in content
    old = content.replace(utf8, b"caf\x82xx.jpg"[: len(utf8)])
    for offset in (6, old.index(b"PK\1\2") + 8):
        flags = int.from_bytes(old[offset : offset + 2], "little") & ~flag
        old = old[:offset] + flags.to_bytes(2, "little") + old[offset + 2 :]
    assert list(files(put(old))) == ["caféxx.jp"]


# Archives in archives.


@BOTH
@pytest.mark.parametrize("name", every_kind())
def test_an_archive_in_an_archive_becomes_a_folder(made, name, put):
    ending = {"tar": ".tar", "tar gz": ".tar.gz", "tar bz2": ".TAR.bz2", "tar xz": ".txz"}
    inner = "outer/classes" + ending.get(name, ".zip")
    folder = put(made([("outer/a.txt", b"a"), (inner, every_kind()[name])]))
    assert files(folder) == {
        "outer/a.txt": b"a",
        "outer/classes/set/a/1.jpg": b"one" * 999,
        "outer/classes/set/b/2.jpg": b"",
    }


def test_a_tar_of_tars_becomes_a_folder_of_folders(put):
    classes = {f"n0144{i}": tar([(f"{i}.JPEG", b"%d" % i)]) for i in range(1000, 1020)}
    folder = put(tar((f"{name}.tar", content) for name, content in classes.items()))
    assert files(folder) == {f"n0144{i}/{i}.JPEG": b"%d" % i for i in range(1000, 1020)}


@BOTH
@pytest.mark.parametrize("first", [True, False])
def test_the_content_of_an_archive_does_not_mix_with_a_folder(made, first, put):
    members = [("a.tar", tar([("1.jpg", b"inner")])), ("a/1.jpg", b"outer")]
    folder = put(made(members if first else members[::-1]))
    assert files(folder) == {"a/1.jpg": b"outer", "a.unpacked/1.jpg": b"inner"}


def test_two_folders_in_the_way_of_an_archive_are_refused(put):
    members = [("a.tar", tar([])), ("a/1.jpg", b"1"), ("a.unpacked/1.jpg", b"1")]
    refused(put, zipped(members), "'a.tar'", "'a.unpacked'")


@BOTH
def test_of_one_archive_twice_the_later_counts(made, put):
    one, two = (tar([(f"{name}.jpg", b"1")]) for name in ("one", "two"))
    with pytest.warns(UserWarning) if made is zipped else pytest.MonkeyPatch.context():
        content = made([("a.tar", one), ("a.tar", two)])
    assert files(put(content)) == {"a/two.jpg": b"1"}


@BOTH
def test_archives_are_unpacked_one_level_deep(made, put):
    deepest = tar([("1.jpg", b"1")])
    folder = put(made([("a.zip", zipped([("b.tar", deepest)]))]))
    assert files(folder) == {"a/b.tar": deepest}


@BOTH
def test_what_is_only_called_an_archive_is_a_file(made, put):
    members = {"a.tar": b"text", "b.gz": gzip.compress(b"text"), "c.npz": zipped([("c", b"c")])}
    assert files(put(made(members.items()))) == members


@BOTH
@pytest.mark.parametrize("inner", [tar, zipped])
def test_an_archive_in_an_archive_is_held_to_the_same_rules(made, inner, put):
    refused(put, made([("a.zip", inner([("../1.jpg", b"1")]))]), "in 'a.zip'", "'../1.jpg'")


@BOTH
@pytest.mark.parametrize("compression", ["", "gz"])
def test_an_inner_archive_that_is_cut_off_is_refused(made, compression, put):
    cut = tar([("1.jpg", random.Random(1).randbytes(9000))], compression)[:5000]
    refused(put, made([("a.tar", cut)]), "in 'a.tar'")


def test_no_link_can_repeat_an_archive(put):
    inner = tar([("1.jpg", b"1")])
    again = header("b.tar", kind=tarfile.LNKTYPE, link="a.tar")
    refused(put, raw_tar((header("a.tar", len(inner)), inner), (again, b"")), "'b.tar'")
