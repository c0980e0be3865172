"""Whether there is a network, and what addresses say of themselves."""

import socket
import threading
import time

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import network
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.network import probe, reachable


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + bytes(1230))
    with serve(tmp_path) as server:
        yield server


@pytest.fixture
def refused():
    """An address to which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/x.zip"


@pytest.fixture
def hanging(monkeypatch):
    """Names that end with `.invalid` are looked up for ever."""
    over = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host, *args, **kwargs):
        if str(host).endswith(".invalid"):
            over.wait(20)
            raise socket.gaierror("late")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield
    over.set()


def test_one_host_that_answers_is_enough(server, refused, hanging):
    began = time.monotonic()
    assert reachable([refused, "https://a.invalid/x", server.address("x.zip")])
    assert time.monotonic() - began < 5


def test_no_host_that_answers_is_no_network(refused):
    began = time.monotonic()
    assert not reachable([refused])
    assert time.monotonic() - began < 5


def test_a_resolver_that_hangs_is_not_waited_for(hanging):
    began = time.monotonic()
    assert not reachable(["https://a.invalid/x", "https://b.invalid/x"], seconds=0.2)
    assert time.monotonic() - began < 5


def test_files_need_no_network(tmp_path):
    assert reachable([str(tmp_path / "x.zip")]) and reachable([])


@pytest.mark.parametrize("address", ["http://a.invalid/x", "https://a.invalid/x", "hf://a/b/c"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY HTTPS_PROXY", "ALL_PROXY"])
def test_where_there_is_a_proxy_it_is_the_proxy_that_counts(
    server, hanging, monkeypatch, address, variable
):
    for name in variable.split():
        monkeypatch.setenv(name, server.url)
    assert reachable([address])


def test_a_proxy_that_is_not_there_is_no_network(server, refused, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", refused)
    assert not reachable([server.address("x.zip")])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert reachable([server.address("x.zip")])


def test_the_hub_is_where_its_variable_says(server, refused, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.hub)
    assert reachable(["hf://owner/name/x.zip"])
    monkeypatch.setenv("HF_ENDPOINT", refused)
    assert not reachable(["hf://owner/name/x.zip"])


def test_an_address_without_a_host_reaches_nothing_and_ends_nothing(server):
    assert reachable(["https:///x", "http://127.0.0.1:port/x", server.address("x.zip")])


def test_addresses_say_their_sizes(server, tmp_path, monkeypatch, refused):
    for name in ("owner/name/x.zip", "datasets/owner/name/x.zip", "drive/123"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(77))
    for key, value in server.drive_environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("HF_ENDPOINT", server.hub)
    addresses = [
        server.address("x.zip"),
        server.address("none.zip"),
        "hf://owner/name/x.zip",
        "hf://owner/name/none.zip",
        "https://drive.google.com/uc?id=123",
        refused,
        str(tmp_path / "x.zip"),
    ]
    answers = probe([Remote(address) for address in addresses])
    assert answers.pop(5).startswith("no connection: Failed to establish a new connection: ")
    assert answers == [
        "200, 1,234 bytes",
        "status 404 (Not Found)",
        "200, 77 bytes",
        "the repository has no such file (status 404)",
        "200, drive_123, size not told",
        "there, 1,234 bytes",
    ]
    assert not [r for r in server.requests if r.method == "GET" and "x.zip" in r.path]


def test_another_size_than_the_right_one_is_said(server):
    answers = probe([Remote(server.address("x.zip"), size=size) for size in (1234, 7)])
    assert answers == ["200, 1,234 bytes", "200, 1,234 bytes; 7 are right"]


@pytest.mark.parametrize("ranges", [True, False])
def test_where_head_is_refused_one_byte_is_asked_for(server, ranges):
    server.behaviour["x.zip"] = Behaviour(head=405, ranges=ranges)
    assert probe([Remote(server.address("x.zip"))]) == ["200, 1,234 bytes"]
    assert server.requests[-1].headers["range"] == "bytes=0-0"


def test_a_web_page_is_said(server):
    server.behaviour["x.zip"] = Behaviour(page="<html><title>Sign in</title></html>")
    assert probe([Remote(server.address("x.zip"))]) == ['a web page ("Sign in")']


def test_what_the_drive_says_of_a_quota_is_said(server, tmp_path, monkeypatch):
    for key, value in server.drive_environment().items():
        monkeypatch.setenv(key, value)
    words = "Too many users have viewed this file."
    page = f'<html><p class="uc-error-subcaption">{words}</p></html>'
    server.behaviour["drive/123"] = Behaviour(page=page)
    assert probe([Remote("https://drive.google.com/uc?id=123")]) == [words]


def test_an_address_that_says_nothing_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(network, "ANSWER", 0.5)
    server.behaviour["x.zip"] = Behaviour(hang=True)
    (answer,) = probe([Remote(server.address("x.zip"))])
    assert answer.startswith(("no answer within 0.5 s", "no connection: Read timed out"))
