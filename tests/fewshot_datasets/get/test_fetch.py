"""What holds for every way that a file can take: names, records, local files, missing libraries."""

import hashlib
import os
import subprocess
import sys
import time

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import fetch as module
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import GetError, SourceError
from fewshot_datasets.get.fetch import discard, fetch, fetched, file_name, transport
from fewshot_datasets.get.pages import HEAD, page_instead

CONTENT = b"PK\x03\x04 content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "mine/x.zip"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def server(archive):
    with serve(archive.parent) as server:
        yield server


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files whose sums were computed."""
    names = []
    real = module._sums

    def counted(path, kinds, name):
        names.append(name)
        return real(path, kinds, name)

    monkeypatch.setattr(module, "_sums", counted)
    return names


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("https://a.org/x.zip", "plain"),
        ("HTTP://a.org/x.zip", "plain"),
        ("hf://a/b/x.zip", "hub"),
        ("https://drive.google.com/uc?id=1", "drive"),
        ("https://drive.google.com.a.org/uc?id=1", "plain"),
        ("/data/x.zip", "file"),
        (r"C:\data\x.zip", "file"),
        ("x.zip", "file"),
    ],
)
def test_the_address_says_the_way(address, way):
    assert transport(address) == way


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        (Remote("https://a.org/b/x%20y.zip?download=1#top"), "x y.zip"),
        (Remote("https://a.org/b/", name="x.zip"), "x.zip"),
        (Remote("hf://datasets/a/b@c/d/x.zip"), "x.zip"),
    ],
)
def test_a_file_has_the_name_of_its_address(remote, name):
    assert file_name(remote) == name


@pytest.mark.parametrize(
    "remote",
    [
        Remote("https://a.org/"),
        Remote("https://a.org/%2e%2e"),
        Remote("https://a.org/..%2fx.zip"),
        Remote("https://a.org/..%5cx.zip"),
        Remote("https://a.org/x", name="../x"),
        Remote("https://a.org/x", name="C:x"),
        Remote("https://a.org/x%00.zip"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(remote, tmp_path):
    with pytest.raises(GetError, match="is no name for a file"):
        fetch(remote, tmp_path / "got")
    assert os.listdir(tmp_path) == []


def test_a_local_file_is_used_where_it_is(archive, tmp_path):
    assert fetch(Remote(str(archive), md5=MD5), tmp_path / "got") == archive
    assert os.listdir(tmp_path) == ["mine"] and os.listdir(archive.parent) == ["x.zip"]
    assert fetched(archive) == {
        "address": str(archive),
        "name": "x.zip",
        "size": len(CONTENT),
        "sha256": SHA256,
    }


def test_a_wrong_local_file_stays(archive, tmp_path):
    for known in ({"md5": "0" * 32}, {"size": 7}):
        with pytest.raises(SourceError, match="right"):
            fetch(Remote(str(archive), **known), tmp_path / "got")
    assert archive.read_bytes() == CONTENT


def test_a_local_web_page_is_no_archive(archive, tmp_path):
    archive.write_bytes(b"\xef\xbb\xbf\n<html><title>Sign in</title>")
    with pytest.raises(SourceError, match=r'a web page \("Sign in"\) instead of x.zip'):
        fetch(Remote(str(archive)), tmp_path)


@pytest.mark.parametrize("name", ["none.zip", "mine"])
def test_what_is_no_file_is_said(archive, tmp_path, name):
    with pytest.raises(SourceError, match=r"is no file and no address|is a folder"):
        fetch(Remote(str(tmp_path / name)), tmp_path)


def test_sums_are_computed_once(server, tmp_path, hashed):
    remote = Remote(server.address("x.zip"), md5=MD5)
    path = fetch(remote, tmp_path / "got")
    module._records.clear()  # as in a later call of the command
    assert fetch(remote, tmp_path / "got") == path and fetched(path)["sha256"] == SHA256
    assert hashed == ["x.zip"]


def test_the_sums_of_a_local_file_are_computed_once(archive, tmp_path, hashed):
    for _ in range(2):
        fetch(Remote(str(archive), md5=MD5), tmp_path)
        fetched(archive)
    assert hashed == ["x.zip"]


def test_a_record_is_of_the_file_that_it_was_made_of(server, tmp_path):
    path = fetch(Remote(server.address("x.zip")), tmp_path / "got")
    path.write_bytes(b"other")
    assert fetched(path)["sha256"] == hashlib.sha256(b"other").hexdigest()


def test_a_file_from_another_address_is_taken_only_by_its_sum(server, archive, tmp_path):
    (archive.parent / "y.zip").write_bytes(b"PK\x03\x04 other")
    path = fetch(Remote(server.address("x.zip")), tmp_path)
    other = Remote(server.address("y.zip"), name="x.zip", sha256=SHA256)
    assert fetch(other, tmp_path) == path
    assert not server.asked("GET", "y.zip")
    fetch(Remote(server.address("y.zip"), name="x.zip"), tmp_path)
    assert path.read_bytes() == b"PK\x03\x04 other"


def test_a_file_without_a_record_is_taken_by_its_sum(server, tmp_path):
    (tmp_path / "got").mkdir()
    (tmp_path / "got/x.zip").write_bytes(CONTENT)
    fetch(Remote(server.address("x.zip"), sha256=SHA256), tmp_path / "got")
    assert not server.requests
    os.remove(tmp_path / "got/x.zip.fetched.json")
    fetch(Remote(server.address("x.zip")), tmp_path / "got")
    assert len(server.requests) == 1


def test_the_right_file_takes_the_place_of_one_with_another_size(server, tmp_path):
    remote = Remote(server.address("x.zip"))
    path = fetch(remote, tmp_path / "got")
    with pytest.raises(SourceError, match="7 are right"):
        fetch(Remote(remote.address, size=7), tmp_path / "got")
    assert not path.exists()


def test_what_is_discarded_leaves_nothing(server, tmp_path):
    discard(fetch(Remote(server.address("x.zip")), tmp_path / "got"))
    assert os.listdir(tmp_path / "got") == []


@pytest.mark.parametrize(
    ("library", "address"),
    [
        ("requests", "http://127.0.0.1:1/x.zip"),
        ("huggingface_hub", "hf://owner/name/x.zip"),
        ("gdown", "https://drive.google.com/uc?id=1"),
    ],
)
def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path, library, address):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(GetError) as caught:
        fetch(Remote(address, name="x.zip"), tmp_path)
    assert type(caught.value) is GetError
    assert str(caught.value) == (
        f'fetching {address} needs {library}: pip install "dassl-standin[data]" '
        '(in a checkout: pip install -e "./toolbox[data]")'
    )


def test_local_files_need_no_library():
    code = "import sys; import fewshot_datasets.get.fetch, fewshot_datasets.get.network; " + (
        "print(*{'requests', 'urllib3', 'huggingface_hub', 'gdown', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("head", "name", "what"),
    [
        (b"<!doctype html><title>A</title>", "x.zip", 'a web page ("A")'),
        (b"<?xml version='1.0'?>\n<!-- c --><html>", "x.tar", "a web page"),
        (b"<html>", "x.html", ""),
        (b"<html>", "split.json", "a web page"),
        (b"<head>", "labels.mat", "a web page"),
        (b'{"message": "Not Found"}', "x.tgz", 'a JSON message ("Not Found")'),
        (b'{"train": []}', "split.json", ""),
        (b"<Error><Message>gone</Message></Error>", "x.tgz", 'an XML message ("gone")'),
        (b"MATLAB 5.0 MAT-file", "labels.mat", ""),
        (b"PK\x03\x04<html>", "x.zip", ""),
        (b"", "x.zip", ""),
        (b"n01440764 tench", "classnames.txt", ""),
    ],
)
def test_pages_and_messages_are_told_from_files(head, name, what):
    assert page_instead(head, name) == what


@pytest.mark.parametrize(
    "piece", [b"<!---->", b"<title", b"<title>", b'"error":"', b"<Code>", b"\n", b"{", b"<?xml "]
)
@pytest.mark.parametrize("start", [b"", b"<html>", b"<?xml>", b'{"'])
def test_a_head_of_any_content_is_looked_at_in_no_time(start, piece):
    began = time.process_time()
    page_instead(start + piece * (HEAD // len(piece)), "x.zip")
    assert time.process_time() - began < 2


@pytest.mark.long
def test_twenty_kills_at_any_moment_leave_a_file_that_is_gone_on_with(archive, tmp_path):
    content = b"PK\x03\x04" + os.urandom(30_000_000)
    archive.write_bytes(content)
    code = (
        "import sys; from pathlib import Path; from fewshot_datasets.get.catalogue import Remote;"
        "from fewshot_datasets.get.fetch import fetch;"
        "fetch(Remote(sys.argv[1], sha256=sys.argv[2]), Path(sys.argv[3]))"
    )
    sum_ = hashlib.sha256(content).hexdigest()
    with serve(archive.parent) as server:
        arguments = [
            sys.executable,
            "-c",
            code,
            server.address("x.zip"),
            sum_,
            str(tmp_path / "got"),
        ]
        longest = 0
        for i in range(20):
            server.behaviour["x.zip"] = Behaviour(cut=1_200_000)  # so that no call gets through
            server.requests.clear()
            with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
                while i and not server.requests and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(0.01 * i)
                process.kill()
            part = tmp_path / "got/x.zip.part"
            came = part.read_bytes() if part.exists() else b""
            assert content.startswith(came) and len(came) >= longest
            longest = len(came)
        server.behaviour.clear()
        server.requests.clear()
        subprocess.run(arguments, check=True, stdout=subprocess.PIPE)
        assert (tmp_path / "got/x.zip").read_bytes() == content
        assert server.requests[0].headers["range"] == f"bytes={longest}-"
        assert longest > 1_000_000
        assert sorted(os.listdir(tmp_path / "got")) == ["x.zip", "x.zip.fetched.json"]
