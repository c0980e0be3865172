"""Plain addresses: all that goes wrong between a server and a file."""

import hashlib
import json

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.fetch import fetch
from served_file import CONTENT, SHA256, left, ranges, refusal


def test_a_file_comes_whole_and_is_not_fetched_again(server, get, tmp_path):
    path = get(sha256=SHA256, size=len(CONTENT))
    assert path == tmp_path / "got/x.zip" and path.read_bytes() == CONTENT
    assert left(tmp_path) == ["x.zip", "x.zip.fetched.json"]
    asked = len(server.requests)
    assert get(sha256=SHA256) == get() == path
    assert len(server.requests) == asked


def test_a_file_that_has_changed_on_disk_is_fetched_again(server, get):
    get(sha256=SHA256).write_bytes(b"PK\x03\x04")
    assert get(sha256=SHA256).read_bytes() == CONTENT
    get().write_bytes(b"PK\x03\x04")
    assert get().read_bytes() == CONTENT


def test_a_length_that_is_not_announced_is_no_fault(server, get):
    server.behaviour["x.zip"] = Behaviour(chunked=True)
    assert get(size=len(CONTENT)).read_bytes() == CONTENT


def test_chunks_that_are_cut_are_no_whole_file(server, get):
    server.behaviour["x.zip"] = [Behaviour(chunked=True, cut=70_000), Behaviour()]
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=70000-"]


def test_more_bytes_than_are_right_are_refused_early(server, get, tmp_path):
    server.behaviour["x.zip"] = Behaviour(chunked=True)
    assert "more than 1,000 bytes came" in refusal(get, size=1000)
    assert not (tmp_path / "got/x.zip.part").stat().st_size


def test_a_length_that_is_not_the_right_one_is_refused_before_anything_comes(server, get, tmp_path):
    message = refusal(get, size=199_999)
    assert "x.zip has 200,000 bytes there, 199,999 are right" in message
    assert left(tmp_path) == []


def test_more_bytes_announced_than_sent_are_a_fault(server, get):
    server.behaviour["x.zip"] = Behaviour(longer=10)
    assert "cut: 200000 bytes read, 10 more expected" in refusal(get)


def test_fewer_bytes_announced_than_sent_are_a_fault_of_the_sum(server, get, tmp_path):
    server.behaviour["x.zip"] = Behaviour(longer=-10)
    assert f"{SHA256} is right" in refusal(get, sha256=SHA256)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["md5", "sha256", "git_blob"])
def test_a_wrong_sum_keeps_nothing(server, get, tmp_path, kind):
    wrong = "0" * {"md5": 32, "sha256": 64, "git_blob": 40}[kind]
    message = refusal(get, **{kind: wrong})
    assert f"x.zip has {kind} " in message and f"{wrong} is right" in message
    assert left(tmp_path) == []


def test_every_kind_of_sum_is_compared(get):
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert get(md5=md5.upper(), sha256=SHA256, git_blob=blob).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
def test_a_status_that_is_no_success_is_named(server, get, tmp_path, status):
    server.behaviour["x.zip"] = Behaviour(status=status)
    assert f"status {status} (" in refusal(get)
    assert left(tmp_path) == []


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server, get):
    server.behaviour["x.zip"] = [Behaviour(status=503), Behaviour()]
    assert get().read_bytes() == CONTENT


def test_redirects_in_a_circle_end(server, get):
    server.behaviour["x.zip"] = Behaviour(redirect=server.address("x.zip"))
    assert "10 redirects" in refusal(get)


def test_a_web_page_is_no_archive(server, get, tmp_path):
    page = "<!DOCTYPE html>\n<html><head><title>Sign in &amp;\n go</title></head></html>"
    server.behaviour["x.zip"] = Behaviour(page=page)
    assert 'a web page ("Sign in & go") instead of x.zip' in refusal(get, sha256=SHA256)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
            'an XML message ("NoSuchKey")',
        ),
        (b'{"error": "quota"}', 'a JSON message ("quota")'),
    ],
)
def test_a_message_of_a_store_is_no_archive(server, get, content, what):
    server.behaviour["x.zip"] = Behaviour(content=content)
    assert f"{what} instead of x.zip" in refusal(get)


def test_json_is_what_a_split_is_made_of(server, tmp_path):
    (tmp_path / "served/split.json").write_text(json.dumps({"train": []}))
    path = fetch(Remote(server.address("split.json")), tmp_path / "got")
    assert json.loads(path.read_text()) == {"train": []}


def test_bytes_are_asked_for_as_they_are(server, get):
    server.behaviour["x.zip"] = Behaviour(headers=(("Content-Encoding", "gzip"),))
    assert "x.zip is sent as gzip unasked" in refusal(get)
    assert server.requests[-1].headers["accept-encoding"] == "identity"


def test_a_tgz_that_is_called_encoded_stays_as_it_is(server, tmp_path):
    (tmp_path / "served/x.tgz").write_bytes(b"\x1f\x8b" + CONTENT)
    server.behaviour["x.tgz"] = Behaviour(headers=(("Content-Encoding", "x-gzip"),))
    path = fetch(Remote(server.address("x.tgz")), tmp_path / "got")
    assert path.read_bytes() == b"\x1f\x8b" + CONTENT


def test_a_trickle_ends_the_source_and_is_kept(server, get, monkeypatch, tmp_path):
    monkeypatch.setattr(session, "WINDOW", 0.3)
    server.behaviour["x.zip"] = Behaviour(trickle=0.02)
    assert "too slow, " in refusal(get)
    assert 4 < (tmp_path / "got/x.zip.part").stat().st_size < 100


def test_a_trickle_after_a_fast_beginning_ends_the_source(server, get, monkeypatch):
    monkeypatch.setattr(session, "WINDOW", 0.3)
    monkeypatch.setattr(session, "LEAST", 10_000)
    server.behaviour["x.zip"] = Behaviour(trickle=0.02, fast=150_000)
    assert "too slow, " in refusal(get)


def test_a_server_that_says_nothing_ends_the_source(server, get, monkeypatch):
    monkeypatch.setattr(session, "READ", 0.2)
    server.behaviour["x.zip"] = Behaviour(hang=True)
    assert "Read timed out" in refusal(get)
    assert len(server.requests) == 1


def test_no_connection_is_one_line(tmp_path):
    with serve(tmp_path) as server:
        address = server.address("x.zip")
    with pytest.raises(SourceError, match=r"/x.zip: .*refused"):
        fetch(Remote(address), tmp_path)


def test_a_password_in_an_address_is_not_shown(server, tmp_path):
    address = server.address("none.zip").replace("//", "//me:secret@")
    with pytest.raises(SourceError) as caught:
        fetch(Remote(address), tmp_path)
    assert "secret" not in str(caught.value) and "/none.zip: status 404" in str(caught.value)


def test_an_empty_file_is_a_file(server, tmp_path):
    (tmp_path / "served/empty.bin").write_bytes(b"")
    assert fetch(Remote(server.address("empty.bin")), tmp_path).read_bytes() == b""


def test_a_disk_that_is_full_is_an_error_of_the_disk(server, get, monkeypatch):
    from fewshot_datasets.get import plain

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plain._Download, "_copy", full)
    with pytest.raises(OSError, match="No space") as caught:
        get()
    assert type(caught.value) is OSError
