"""Servers that speak as no server should: each ends its source with one line, and none holds it."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import pytest
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.fetch import fetch

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Answer = Callable[[], Iterable[bytes]]


@pytest.fixture
def serve_bytes() -> Iterator[Callable[[Answer], str]]:
    """Serves whatever bytes an iterable yields, to every request; returns an address."""
    over = threading.Event()
    sockets = []

    def serve(answer: Answer) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection = listening.accept()[0]
                    threading.Thread(target=send, args=(connection,), daemon=True).start()

        def send(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.recv(1 << 16)
                for piece in answer():
                    connection.sendall(piece)
                    if over.is_set():
                        return

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x.zip"

    yield serve
    over.set()
    for one in sockets:
        one.close()


def slowly(*pieces: bytes) -> Iterator[bytes]:
    """The first pieces at once, then the last one again and again."""
    yield from pieces[:-1]
    while True:
        time.sleep(0.05)
        yield pieces[-1]


def refusal(address: str, tmp_path) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(Remote(address), tmp_path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{address}: ")
    return line


ENDLESS = {
    "a status": lambda: slowly(b"HTTP/1.1 200 O", b"K"),
    "headers": lambda: slowly(OK, b"A: b\r\n"),
    "one header": lambda: slowly(OK + b"A: ", b"b"),
    "promises": lambda: slowly(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the size of a piece": lambda: slowly(CHUNKED, b"0"),
    "the end of a piece": lambda: slowly(CHUNKED + b"4;", b"a"),
    "what follows the last piece": lambda: slowly(CHUNKED + b"4\r\nPK\3\4\r\n0\r\n", b"A: b\r\n"),
    "a file without a length": lambda: slowly(OK + b"\r\nPK\3\4", b"x"),
}


@pytest.mark.parametrize("of", ENDLESS)
def test_letter_by_letter_no_server_holds_a_source_for_longer_than_a_window(
    of, serve_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr(session, "WINDOW", 0.4)
    began = time.monotonic()
    line = refusal(serve_bytes(ENDLESS[of]), tmp_path)
    assert time.monotonic() - began < 4
    assert "no answer within 0.4 s" in line or "too slow" in line


@pytest.mark.parametrize("status", [302, 404, 503])
def test_what_comes_with_a_status_is_not_read(status, serve_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "PAUSE", 0.01)
    sent = 0

    def answer() -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 %d Here\r\nLocation: /y.zip\r\n\r\n" % status
        for piece in itertools.repeat(bytes(1 << 16)):
            sent += len(piece)
            yield piece

    line = refusal(serve_bytes(answer), tmp_path)
    assert "redirects" in line if status == 302 else f"status {status}" in line
    assert sent < 100 << 20  # what the sockets' buffers hold, a few times


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5000, b"-5", b"5, 6", b"1e3", b""])
def test_a_length_that_is_no_number_ends_nothing_but_the_source(length, serve_bytes, tmp_path):
    answer = OK + b"Content-Length: " + length + b"\r\n\r\n<html><title>Sign in</title>"
    address = serve_bytes(lambda: [answer])
    assert address in refusal(address, tmp_path)


ADDRESSES = [
    "http://[::1",
    "http://host:99999/x",
    "http://host:port/x",
    "http://.host/x",
    f"http://{'a' * 300}/x",
    "http://\xff\xfe/x",
    "file:///etc/hostname",
    "data:,x",
    "//",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_redirect_to_what_is_no_address_ends_the_source(address, serve_bytes, tmp_path):
    place = address.encode("latin-1")
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n"
    assert refusal(serve_bytes(lambda: [answer]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == []
