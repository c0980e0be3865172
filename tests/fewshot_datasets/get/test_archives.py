"""Archives: what they are, what they hold, and that nothing leaves the folder they are put in."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import stat
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from fewshot_datasets.get import archives, new_folder
from fewshot_datasets.get.archives import kind, member_names, unpack
from fewshot_datasets.get.errors import SourceError
from hypothesis import given, settings
from hypothesis import strategies as st

from .archives_made import (
    COMPRESSORS,
    changed_zip,
    files,
    header,
    raw_tar,
    tar,
    tree,
    zip64,
    zip_of_link,
    zip_with_less_declared,
    zipped,
)

BOTH = pytest.mark.parametrize("made", [tar, zipped], ids=["tar", "zip"])
PICTURES = [("set", None), ("set/a", None), ("set/a/1.jpg", b"one" * 999), ("set/b/2.jpg", b"")]


@pytest.fixture
def put(tmp_path):
    """Writes an archive and unpacks it; returns the folder."""

    def call(content: bytes, name: str = "set.archive", **options: object) -> Path:
        (tmp_path / name).write_bytes(content)
        folder = tmp_path / "unpacked"
        folder.mkdir()
        unpack(tmp_path / name, folder, **options)
        return folder

    return call


def refused(put, content: bytes, *words: str, **options: object) -> str:
    with pytest.raises(SourceError) as e:
        put(content, **options)
    message = str(e.value)
    assert "set.archive: " in message
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def every_kind() -> dict[str, bytes]:
    made = {f"tar {name}".strip(): tar(PICTURES, name) for name in COMPRESSORS}
    methods = ("STORED", "DEFLATED", "BZIP2", "LZMA")
    return made | {f"zip {m}": zipped(PICTURES, getattr(zipfile, f"ZIP_{m}")) for m in methods}


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


# What is refused.

OUTSIDE = [
    "/etc/passwd",
    "../1.jpg",
    "a/../../1.jpg",
    "a/..",
    "..",
    "C:/1.jpg",
    "c:1.jpg",
    "\\\\host\\share\\1.jpg",
    "..\\1.jpg",
    "a\\..\\..\\1.jpg",
    "\\1.jpg",
]


@BOTH
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_is_refused(made, name, put, tmp_path):
    message = refused(put, made([("first.jpg", b"1"), (name, b"2")]), "outside")
    assert repr(name).strip("'") in message
    assert sorted(tree(tmp_path)) == ["set.archive", "unpacked", "unpacked/first.jpg"]
    with pytest.raises(SourceError, match="outside"):
        list(member_names(tmp_path / "set.archive"))


def test_a_folder_that_leads_out_is_refused(put):
    refused(put, tar([("../x", None)]), "outside")


def test_a_name_with_a_zero_byte_is_refused(put):
    refused(put, zipped([("a.jpg\0.txt", b"1")]), "outside", r"a.jpg\x00.txt")


@pytest.mark.parametrize(
    ("kind_of_member", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "FIFO"),
        (b"V", "type"),
    ],
)
def test_what_is_no_file_is_refused(kind_of_member, word, put):
    odd = header("odd", kind=kind_of_member, link="1.jpg")
    refused(put, raw_tar((header("1.jpg", 1), b"1"), (odd, b"")), "'odd'", word)


def test_a_link_in_a_zip_is_refused(put):
    refused(put, zip_of_link("odd", "/etc/passwd"), "'odd'", "link")


@pytest.mark.parametrize("target", ["later.jpg", "missing.jpg", "folder", "odd"])
def test_a_second_name_of_no_earlier_file_is_refused(target, put):
    folder = header("folder", kind=tarfile.DIRTYPE)
    odd = header("odd", kind=tarfile.LNKTYPE, link=target)
    content = raw_tar((folder, b""), (odd, b""), (header("later.jpg", 1), b"1"))
    refused(put, content, "'odd'", repr(target), "no file before it")


@pytest.mark.parametrize("target", ["/etc/passwd", "../set.archive"])
def test_a_second_name_of_a_file_outside_is_refused(target, put):
    odd = header("odd", kind=tarfile.LNKTYPE, link=target)
    refused(put, raw_tar((odd, b"")), target, "outside")


def test_a_sparse_file_is_refused(put):
    pax = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "a.jpg"}
    pax |= {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}
    sparse = header("x", 1)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        sparse.pax_headers = pax
        archive.addfile(sparse, io.BytesIO(b"1"))
    refused(put, file.getvalue(), "'a.jpg'", "sparse")


@BOTH
@pytest.mark.parametrize(
    "members",
    [
        [("a", b"1"), ("a/1.jpg", b"2")],
        [("a/1.jpg", b"1"), ("a", b"2")],
        [("a", b"1"), ("a", None)],
        [("a", None), ("a", b"1")],
    ],
)
def test_a_file_where_another_needs_a_folder_is_refused(made, members, put):
    refused(put, made(members), "'a' is a file and a folder")


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
FOLDINGS = {
    "case": (str.casefold, "Abc", "abc"),
    "Unicode": (lambda name: unicodedata.normalize("NFD", name), COMPOSED, DECOMPOSED),
    "trailing dots": (
        lambda name: "/".join(part.rstrip(". ") or part for part in name.split("/")),
        "abc",
        "abc. .",
    ),
}


@BOTH
@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("form", ["{}.jpg", "{}/1.jpg", "{}"])
def test_names_that_meet_in_one_are_refused(made, folding, form, put, monkeypatch):
    fold, *names = FOLDINGS[folding]
    if folding == "trailing dots" and form == "{}.jpg":
        form = "x/{}"
    first, second = (form.format(name) for name in names)
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / fold(name))
    message = refused(put, made([(first, b"1"), (second, b"2")]), "one name on this file system")
    for name in (first, second):
        assert repr(name.partition("/1")[0]) in message


@BOTH
def test_the_same_name_twice_is_no_meeting_where_names_are_folded(made, put, monkeypatch):
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / name.casefold())
    folder = put(made([("Abc/1.jpg", b"1"), ("./Abc/2.jpg", b"2"), ("Abc//1.jpg", b"3")]))
    assert files(folder) == {"abc/1.jpg": b"3", "abc/2.jpg": b"2"}


@BOTH
@pytest.mark.parametrize("name", ["nul", "a/CON.jpg", "a.jpg:stream", "Com1 .txt", "what?.jpg"])
def test_names_that_windows_has_not_are_refused_there(made, name, put, monkeypatch):
    monkeypatch.setattr(new_folder, "WINDOWS", True)
    refused(put, made([("null/console.jpg", b"1"), (name, b"2")]), "Windows", repr(name))


@BOTH
@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300 + "/1.jpg"])
def test_a_name_that_is_too_long_is_refused(made, name, put):
    refused(put, made([(name, b"1")]), "no file can be called")


@BOTH
def test_a_name_that_cannot_be_written_is_refused(made, put, monkeypatch):
    monkeypatch.setattr(new_folder, "path_of", lambda root, name: root / f"{name}\ud800")
    refused(put, made([("1.jpg", b"1")]), "this system has no files called '1.jpg'")


@BOTH
def test_folders_too_deep_to_remove_are_refused(made, put):
    refused(put, made([("y/" * 3000 + "1.jpg", b"1")]), "below more than")


def test_an_encrypted_zip_is_refused(put):
    refused(put, changed_zip("a.jpg", b"1", flags=1), "'a.jpg' is encrypted")


def test_a_compression_that_python_has_not_is_refused(put):
    refused(put, changed_zip("a.jpg", b"1", method=98), "broken", "compression")


def test_a_wrong_checksum_is_refused(put):
    refused(put, changed_zip("a.jpg", b"1", crc=7), "CRC")


def test_a_wrong_checksum_around_a_tar_is_refused(put):
    broken = bytearray(gzip.compress(tar(PICTURES)))
    broken[-6] ^= 1
    refused(put, bytes(broken), "CRC")


def test_a_zip_that_declares_too_little_is_refused(put):
    refused(put, zip_with_less_declared("a.jpg", b"0123456789", 4), "'a.jpg'")


def test_a_zip_that_declares_too_much_is_refused(put):
    refused(put, changed_zip("a.jpg", b"0123456789", size=40), "declares 40 bytes and has 10")


@pytest.mark.parametrize("name", every_kind())
def test_an_archive_that_is_cut_off_is_refused_wherever(name, tmp_path):
    content = every_kind()[name]
    path = tmp_path / "cut"
    end = len(content) if name.split()[0] == "zip" or " " in name else len(content) - 1024
    for n, length in enumerate(range(600 if name == "tar" else 30, end, max(1, end // 40))):
        path.write_bytes(content[:length])
        folder = tmp_path / str(n)
        folder.mkdir()
        with pytest.raises(SourceError):
            unpack(path, folder)


@pytest.mark.parametrize("name", every_kind())
def test_damage_anywhere_ends_in_one_line_or_does_no_harm(name, tmp_path):
    content = every_kind()[name]
    rng = random.Random(name)
    path = tmp_path / "damaged"
    outcomes = set()
    for n in range(150):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 1, 3, 20])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        folder = tmp_path / f"{n}" / "inner"
        folder.mkdir(parents=True)
        try:
            unpack(path, folder, limit_bytes=1 << 20)
            outcomes.add("unpacked")
        except SourceError as e:
            assert "\n" not in str(e)
            outcomes.add("refused")
        assert [p.name for p in folder.parent.iterdir()] == ["inner"]
    assert "refused" in outcomes


@pytest.mark.parametrize("size", ["-1", "-1024", str(1 << 60), "99999"])
def test_a_size_that_is_none_is_refused(size, put):
    info = header("a.jpg", 1)
    info.pax_headers = {"size": size}
    head = info.create_pax_header(info.get_info(), "utf-8")
    refused(put, head + bytes(10240))


@pytest.mark.parametrize("kind_of_header", [b"x", b"g", b"L", b"K"])
def test_a_header_too_large_to_hold_is_refused(kind_of_header, put):
    huge = header("x", 1 << 32, kind=kind_of_header)
    refused(put, gzip.compress(raw_tar((huge, bytes(1 << 23)))), "a header declares")


def test_a_tower_of_headers_is_refused(put):
    name = header("x", 5, kind=tarfile.GNUTYPE_LONGNAME)
    refused(put, raw_tar(*[(name, b"long\0")] * 3000), "broken")


@BOTH
def test_unpacking_stops_at_its_limit(made, put, tmp_path):
    content = made([("a", bytes(1 << 20)), ("b", bytes(1 << 24))])
    refused(put, content, "more than the 2,000,000 bytes", limit_bytes=2_000_000)
    assert sum(p.stat().st_size for p in (tmp_path / "unpacked").iterdir()) <= 2_000_000


def test_a_bomb_in_a_bomb_is_stopped(put, tmp_path):
    inner = tar([(f"{i}", bytes(1 << 20)) for i in range(9)], "gz")
    content = zipped([(f"{i}.tgz", inner) for i in range(9)])
    refused(put, content, "more than", "in '0.tgz'", limit_bytes=4 << 20)


def test_second_names_count_as_what_they_hold(put):
    links = [(header(f"{i}", kind=tarfile.LNKTYPE, link="a"), b"") for i in range(20)]
    refused(put, raw_tar((header("a", 1000), bytes(1000)), *links), "more than", limit_bytes=9000)


def test_more_than_is_free_is_a_full_disk_and_no_fault_of_the_archive(put):
    with pytest.raises(OSError, match="more is unpacked than the 700 bytes free") as e:
        put(tar([("a", bytes(400)), ("b", bytes(400))]), free_bytes=700)
    assert e.value.errno == errno.ENOSPC


def test_a_full_disk_is_the_systems_error(put, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", open_with(Path.open, Full))
    with pytest.raises(OSError, match="No space left") as e:
        put(tar(PICTURES))
    assert e.value.errno == errno.ENOSPC


def open_with(real, replacement):
    def call(path, mode="r", **options):
        return replacement() if "x" in mode else real(path, mode, **options)

    return call


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_the_systems_error(put, tmp_path):
    (tmp_path / "set.tar").write_bytes(tar(PICTURES))
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        unpack(tmp_path / "set.tar", tmp_path / "closed")


def test_an_interruption_passes(put):
    def interrupt(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(tar(PICTURES), advance=interrupt)


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "set.tar").write_bytes(tar(PICTURES))
    with pytest.raises(ValueError, match="not empty"):
        unpack(tmp_path / "set.tar", tmp_path)


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


# Whatever the names.

PART = st.one_of(
    st.sampled_from(["..", ".", "", "a", "A", "b.jpg", "é", "e\u0301", "C:", "nul", " ", "~", "-"]),
    st.text(min_size=1, max_size=6),
)
NAME = st.builds(
    lambda start, parts, separator: start + separator.join(parts),
    st.sampled_from(["", "", "", "/", "./", "../", "\\", "//h/", "C:\\"]),
    st.lists(PART, min_size=1, max_size=4),
    st.sampled_from("///\\"),
)
MEMBERS = st.lists(
    st.tuples(NAME.filter(bool), st.one_of(st.none(), st.binary(max_size=20))), max_size=6
)


@settings(max_examples=250, deadline=None)
@given(members=MEMBERS, how=st.sampled_from(["tar", "gz", "zip"]))
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_no_member_leads_out_and_what_is_accepted_has_its_bytes(members, how, tmp_path_factory):
    outside = tmp_path_factory.mktemp("x")
    try:
        content = zipped(members) if how == "zip" else tar(members, how.removeprefix("tar"))
    except (UnicodeEncodeError, ValueError):
        return
    path, folder = outside / "archive", outside / "folder"
    path.write_bytes(content)
    folder.mkdir()
    try:
        unpack(path, folder)
    except SourceError:
        accepted = False
    else:
        accepted = True
    assert sorted(p.name for p in outside.iterdir()) == ["archive", "folder"]
    assert path.read_bytes() == content
    got = files(folder)
    if accepted:
        expected = expected_files(members)
        assert got == expected
    else:
        assert set(got.values()) <= {content for _, content in members}


def expected_files(members: list[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Name to content of what is no leftover, the later of one name."""
    expected = {}
    for name, content in members:
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        hidden = any(part.startswith(".") or part == "Icon\r" for part in parts)
        if content is not None and not hidden:
            expected["/".join(parts)] = content
    return expected
