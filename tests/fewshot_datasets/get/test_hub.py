"""The hub, through huggingface_hub, on the loopback address."""

import hashlib
import os

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import GetError
from fewshot_datasets.get.fetch import fetch

CONTENT = b"PK\x03\x04" + os.urandom(99_996)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ADDRESS = "hf://owner/name/x.zip"
FILE = "owner/name/x.zip"


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in (FILE, f"datasets/{FILE}"):
        (tmp_path / "served" / name).parent.mkdir(parents=True)
        (tmp_path / "served" / name).write_bytes(CONTENT)
    monkeypatch.setattr(session, "PAUSE", 0.01)
    with serve(tmp_path / "served") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.setenv("HF_TOKEN", "hf_token_of_a_test")
        yield server


def refusal(tmp_path, address=ADDRESS, **known) -> str:
    with pytest.raises(GetError) as caught:
        fetch(Remote(address, **known), tmp_path / "got")
    message = str(caught.value)
    assert "\n" not in message and message.startswith(address)
    return message


def test_a_file_comes_with_the_hubs_own_sum(server, tmp_path):
    path = fetch(Remote(ADDRESS), tmp_path / "got")
    assert path == tmp_path / "got/x.zip" and path.read_bytes() == CONTENT
    assert [r.path for r in server.asked("HEAD", FILE)] == ["/owner/name/resolve/main/x.zip"]


def test_a_data_set_of_a_revision(server, tmp_path):
    revision = "c877bcd43f099cd0196738f714544e355477f3fd"
    path = fetch(Remote(f"hf://datasets/owner/name@{revision}/x.zip"), tmp_path / "got")
    assert path.read_bytes() == CONTENT
    asked = server.asked("HEAD", f"datasets/{FILE}")
    assert [r.path for r in asked] == [f"/datasets/owner/name/resolve/{revision}/x.zip"]


def test_the_token_goes_to_the_hub_and_not_to_its_storage(server, tmp_path):
    fetch(Remote(ADDRESS), tmp_path / "got")
    (head,), (get,) = server.asked("HEAD", FILE), server.asked("GET", FILE)
    assert head.headers["authorization"] == "Bearer hf_token_of_a_test"
    assert "authorization" not in get.headers and get.host.startswith("localhost")


def test_the_token_goes_with_a_file_that_the_hub_sends_itself(server, tmp_path):
    server.behaviour[FILE] = Behaviour(direct=True)
    assert fetch(Remote(ADDRESS), tmp_path / "got").read_bytes() == CONTENT
    (get,) = server.asked("GET", FILE)
    assert get.headers["authorization"] == "Bearer hf_token_of_a_test"


def test_an_interrupted_file_goes_on_where_it_stopped(server, tmp_path, monkeypatch):
    server.behaviour[FILE] = [Behaviour(cut=40_000), Behaviour()]
    with monkeypatch.context() as patch:
        patch.setattr(session, "TRIES", 1)
        assert "cut: 40000 bytes read" in refusal(tmp_path)
    assert fetch(Remote(ADDRESS), tmp_path / "got").read_bytes() == CONTENT
    assert server.requests[-1].headers["range"] == "bytes=40000-"


def test_a_file_that_has_changed_on_the_hub_begins_anew(server, tmp_path, monkeypatch):
    server.behaviour[FILE] = [Behaviour(cut=40_000), Behaviour()]
    monkeypatch.setattr(session, "TRIES", 1)
    refusal(tmp_path)
    (tmp_path / "served" / FILE).write_bytes(CONTENT[::-1])
    assert fetch(Remote(ADDRESS), tmp_path / "got").read_bytes() == CONTENT[::-1]
    assert "range" not in server.requests[-1].headers


def test_a_link_that_ends_on_the_way_is_asked_for_again(server, tmp_path):
    faults = [Behaviour(cut=40_000), Behaviour(status=403), Behaviour()]
    server.behaviour[FILE] = faults
    assert fetch(Remote(ADDRESS), tmp_path / "got").read_bytes() == CONTENT
    assert len(server.asked("HEAD", FILE)) == 2


def test_content_that_is_not_what_the_hub_says_keeps_nothing(server, tmp_path):
    server.behaviour[FILE] = Behaviour(etag="0" * 64)
    assert f"x.zip has sha256 {SHA256}, {'0' * 64} is right" in refusal(tmp_path)
    assert os.listdir(tmp_path / "got") == []


def test_a_sum_that_is_not_the_hubs_is_refused_before_anything_comes(server, tmp_path):
    message = refusal(tmp_path, sha256="0" * 64)
    assert f"its sha256 there is {SHA256}, {'0' * 64} is right" in message
    assert "its size there is 100000, 7 is right" in refusal(tmp_path, size=7)
    assert not server.asked("GET", FILE)


def test_a_small_file_has_a_git_blob_for_its_sum(server, tmp_path):
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    server.behaviour[FILE] = Behaviour(etag=blob)
    assert fetch(Remote(ADDRESS, git_blob=blob), tmp_path / "got").read_bytes() == CONTENT
    server.behaviour[FILE] = Behaviour(etag="1" * 40)
    assert "x.zip has git_blob" in refusal(tmp_path / "other")


@pytest.mark.parametrize(
    ("status", "code", "what"),
    [
        (403, "GatedRepo", "the repository is gated: accept its terms there, then `hf auth login`"),
        (404, "RepoNotFound", "there is no such repository, or it is private"),
        (404, "RevisionNotFound", "the repository has no such revision"),
        (404, "EntryNotFound", "the repository has no such file"),
        (500, "", "500"),
    ],
)
def test_what_the_hub_refuses_is_one_line(server, tmp_path, status, code, what):
    server.behaviour[FILE] = Behaviour(status=status, headers=(("X-Error-Code", code),))
    message = refusal(tmp_path)
    assert what in message and f"(status {status})" in message


def test_a_file_that_is_not_there(server, tmp_path):
    message = refusal(tmp_path, "hf://owner/name/y.zip")
    assert message == "hf://owner/name/y.zip: the repository has no such file (status 404)"


def test_something_that_is_no_hub(server, tmp_path):
    server.behaviour[FILE] = Behaviour(page="<html><title>Portal</title></html>")
    assert f"{server.hub} does not answer as a hub does" in refusal(tmp_path)


def test_no_connection(tmp_path, monkeypatch):
    with serve(tmp_path) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
    message = refusal(tmp_path)
    assert message.startswith(f"{ADDRESS}: no connection: ") and "refused" in message


def test_a_library_that_is_told_to_stay_offline_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert refusal(tmp_path) == f"{ADDRESS}: HF_HUB_OFFLINE is set"
    assert not server.requests


@pytest.mark.parametrize("address", ["hf://name/x.zip", "hf://", "hf://a/b@/c", "hf://a/b/"])
def test_an_address_of_another_form(tmp_path, address):
    with pytest.raises(GetError, match=r"is not hf://OWNER/NAME/FILE|is no name for a file"):
        fetch(Remote(address), tmp_path)
