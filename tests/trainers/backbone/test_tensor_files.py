"""Files of tensors: whole ones come out as they were saved, all others are refused in a line."""

import gzip
import io
import json
import os
import struct
from fractions import Fraction

import pytest
import torch
from multimode_ot.backbone.formats.tensor_files import read_archive, read_tensors
from safetensors.torch import save, save_file

STATE = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "b": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "ids": torch.arange(5),
    "scale": torch.tensor(4.6),
}


def torch_bytes(content, **how) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


ZIP = torch_bytes(STATE)
LEGACY = torch_bytes(STATE, _use_new_zipfile_serialization=False)
SAFE = save(STATE)
HEADER = struct.unpack("<Q", SAFE[:8])[0]


def assert_same(found):
    assert set(found) == set(STATE)
    for key, value in STATE.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value)


@pytest.mark.parametrize("name", ["m.safetensors", "m.bin", "m.pt", "m.pth", "m.tar", "m", "m.gz"])
@pytest.mark.parametrize("content", [SAFE, ZIP, LEGACY], ids=["safetensors", "zip", "legacy"])
def test_a_file_is_what_it_holds_whatever_it_is_called(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert_same(read_tensors(tmp_path / name))


@pytest.mark.parametrize("content", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_a_gzipped_file_is_unpacked(tmp_path, content):
    (tmp_path / "m.pt.gz").write_bytes(gzip.compress(content))
    assert_same(read_tensors(tmp_path / "m.pt.gz"))


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    for name, content in (("m.safetensors", SAFE), ("m.pt", ZIP)):
        path = tmp_path / name
        path.write_bytes(content)
        found = read_tensors(path)
        with path.open("r+b") as stream:
            stream.write(b"\0" * len(content))
            stream.truncate(16)
        assert_same(found)


def refusal(path) -> str:
    with pytest.raises(ValueError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def garbage_header(text: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + data


MISFIT = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 13]}}).encode()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("m.safetensors", SAFE[:-3], "it is cut: 3 bytes are missing"),
        ("m.bin", SAFE[:-3], "it is cut: 3 bytes are missing"),
        ("m.safetensors", SAFE[:20], f"its header has {HEADER} bytes, and the whole file 20"),
        ("m.safetensors", SAFE[:8], "does not begin with the header of safetensors"),
        ("m.safetensors", SAFE + b"x", "damaged"),
        ("m.safetensors", garbage_header(b"{" + b"x" * 50), "damaged"),
        ("m.safetensors", garbage_header(b'{"a": 3}'), "damaged"),
        ("m.safetensors", garbage_header(b'{"a":' * 9999), "damaged"),
        ("m.safetensors", garbage_header(MISFIT, b"\0" * 13), "damaged"),
        ("m.safetensors", b"\xff" * 99, "does not begin with the header of safetensors"),
        ("m.pt", ZIP[: len(ZIP) // 2], "cut or damaged"),
        ("m.pt", LEGACY[: len(LEGACY) // 2], "damaged"),
        ("m.pt", LEGACY[:90], "damaged"),
        ("m.pt.gz", gzip.compress(ZIP)[:-40], "cut or damaged"),
        ("m.pt.gz", gzip.compress(b"junk"), "cut or damaged"),
        ("m.pt", b"junk" * 40, "no file of torch.save"),
        ("m.pt", torch_bytes({"x": Fraction(1, 2)}), "holds fractions.Fraction"),
        ("m.safetensors", b"", "empty"),
        ("m.pt", b"", "empty"),
        ("m.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs"),
        ("m.bin", b"\n <!DOCTYPE html><html>", "web page"),
        ("model.safetensors.index.json", b"version https://git-lfs.github.com/", "git-lfs"),
    ],
)
def test_a_file_that_is_not_whole_or_none_is_refused(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    assert what in refusal(tmp_path / name)


@pytest.mark.parametrize("read", [read_tensors, read_archive])
def test_a_pipe_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"m\.pt is not .* a pipe or device"):
        read(tmp_path / "m.pt")


@pytest.mark.parametrize("place", range(-22, 0))
def test_a_zip_file_whose_end_is_damaged_is_no_archive(tmp_path, place):
    damaged = bytearray(ZIP)
    damaged[place] ^= 0xFF
    (tmp_path / "m.pt").write_bytes(damaged)
    assert read_archive(tmp_path / "m.pt") is None


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    assert "folder" in refusal(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        read_tensors(tmp_path / "nothing-here.safetensors")


@pytest.fixture
def index(tmp_path):
    """The index of a set of two files."""
    places = {"a.weight": "m-1-of-2", "b": "m-2-of-2", "ids": "m-2-of-2", "scale": "m-1-of-2"}
    for file in ("m-1-of-2", "m-2-of-2"):
        save_file({k: STATE[k] for k, f in places.items() if f == file}, tmp_path / file)
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def test_a_set_of_files_is_read_whole(index):
    assert_same(read_tensors(index))
    torch.save({"a.weight": STATE["a.weight"], "scale": STATE["scale"]}, index.parent / "m-1-of-2")
    assert_same(read_tensors(index))


def test_the_index_says_which_file_a_tensor_is_in(index):
    held = {k: STATE[k] for k in ("b", "ids")} | {"a.weight": torch.zeros(3, 4)}
    save_file(held, index.parent / "m-2-of-2")
    assert_same(read_tensors(index))


def test_half_a_set_names_what_is_missing(index):
    (index.parent / "m-2-of-2").unlink()
    message = refusal(index)
    assert "1 of the 2 files of its set are missing" in message and "m-2-of-2" in message
    (index.parent / "m-1-of-2").unlink()
    assert refusal(index).endswith("m-1-of-2, m-2-of-2")


def test_a_set_with_a_file_of_another_is_refused(index):
    save_file({"b": STATE["b"]}, index.parent / "m-2-of-2")
    with pytest.raises(ValueError, match=r"m-2-of-2 lacks ids, which model.safetensors.index.json"):
        read_tensors(index)


def test_a_cut_file_of_a_set_is_named(index):
    file = index.parent / "m-1-of-2"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"m-1-of-2 is not .* it is cut: 1 bytes"):
        read_tensors(index)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        "[" * 9999,
        '{"weight_map": {}}',
        '{"weight_map": []}',
        '{"weight_map": {"a": 3}}',
    ],
)
def test_a_damaged_index_is_refused(index, content):
    index.write_text(content)
    assert "weight_map" in refusal(index)


@pytest.mark.parametrize("file", ["../m-1-of-2", "/m-1-of-2", "", "x.index.json"])
def test_an_index_leads_to_no_other_folder(index, file):
    index.write_text(json.dumps({"weight_map": {"a.weight": file}}))
    assert "no file of tensors beside it" in refusal(index)
