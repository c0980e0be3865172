"""Archives that are damaged, cut off, false or without end; and what the system says meanwhile."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import tarfile
from pathlib import Path

import pytest
from archives_made import (
    BOTH,
    PICTURES,
    changed_zip,
    every_kind,
    header,
    raw_tar,
    refused,
    tar,
    zip_with_less_declared,
    zipped,
)
from fewshot_datasets.get.archives import unpack
from fewshot_datasets.get.errors import SourceError


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


def test_a_tar_that_ends_between_two_members_is_refused(put):
    refused(put, raw_tar((header("1.jpg", 1), b"1"), end=False), "cut off")


def test_a_damaged_header_is_not_the_end(put):
    one, other = (raw_tar((header(f"{i}.jpg", 1), b"1"), end=False) for i in range(2))
    refused(put, one + b"9" + other[1:] + bytes(1024), "a damaged header at byte 1,024")


@pytest.mark.parametrize("name", ["a.jpg", ".hidden"])
@pytest.mark.parametrize("size", ["-1", "-1024", str(1 << 60), str((1 << 63) - 1), "99999"])
def test_a_size_that_is_none_is_refused(name, size, put):
    info = header(name, 1)
    info.pax_headers = {"size": size}
    head = info.create_pax_header(info.get_info(), "utf-8")
    refused(put, head + bytes(10240))


def test_a_size_that_leads_back_is_refused(put):
    back = header("global")
    back.pax_headers = {"size": "-1536"}  # to where this header itself begins
    head = back.create_pax_header(back.get_info(), "utf-8")
    refused(put, raw_tar((header("1.jpg", 1), b"1"), end=False) + head + bytes(10240), "-1,536")


@pytest.mark.parametrize("kind_of_header", [b"x", b"g", b"L", b"K"])
def test_a_header_too_large_to_hold_is_refused(kind_of_header, put):
    huge = header("x", 1 << 32, kind=kind_of_header)
    refused(put, gzip.compress(raw_tar((huge, bytes(1 << 23)))), "a header declares")


def test_a_tower_of_headers_is_refused(put):
    name = header("x", 5, kind=tarfile.GNUTYPE_LONGNAME)
    refused(put, raw_tar(*[(name, b"long\0")] * 3000), "more than 64 headers of one member")


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
