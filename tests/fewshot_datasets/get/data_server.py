"""A server on the loopback address for tests: a folder's files, and all that servers do wrong.

    with serve(folder) as server:
        server.behaviour["x.zip"] = Behaviour(cut=1000)
        fetch(Remote(server.address("x.zip")), into)
        assert server.requests[-1].headers["range"] == "bytes=1000-"

It is also a hub (`HF_ENDPOINT=server.hub`): the file of `hf://OWNER/NAME/FILE` is OWNER/NAME/FILE
in the folder, that of `hf://datasets/OWNER/NAME@REVISION/FILE` is datasets/OWNER/NAME/FILE. And it
is a drive, behind a proxy (`server.drive_environment()`): the file with the identifier ID is
drive/ID. The keys of `behaviour` are the same names.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from drive_certificate import authority

COMMIT = "c" * 40
_HUB = re.compile(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_CONFIRM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head>
<body>{form}</body></html>"""
_FORM = (  # on one line, as the drive has it and gdown expects
    '<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t">'
    "</form>"
)


@dataclass(frozen=True)
class Behaviour:
    """What is done with a file instead of sending it; all of it off by default."""

    status: int | None = None  # answered instead, with a short page
    redirect: str = ""  # an address, answered with 302
    page: str = ""  # this web page is sent, with status 200
    content: bytes | None = None  # this is sent instead
    headers: tuple[tuple[str, str], ...] = ()  # sent too
    ranges: bool = True  # False: a range is ignored, the whole is sent with status 200
    if_range: bool = True  # False: the condition of a range is ignored
    shift: int = 0  # a range begins so many bytes later than asked for
    short: int | None = None  # a range has at most so many bytes
    cut: int | None = None  # the connection ends after so many bytes of an answer's body
    longer: int = 0  # so many bytes more (less) are announced than there are
    chunked: bool = False  # no length is announced
    trickle: float = 0.0  # seconds between single bytes
    fast: int = 0  # so many bytes come before the trickle
    hang: bool = False  # the request is read and never answered
    etag: str | None = None  # sent instead of the content's; "" sends none, W/ before it a weak one
    head: int | None = None  # status of HEAD requests
    direct: bool = False  # the hub sends the file itself, as it does with small ones
    confirm: bool = False  # the drive asks before it sends


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with the query
    headers: dict[str, str]  # names in lower case
    host: str


@dataclass
class DataServer:
    """What a test sees of the server."""

    folder: Path
    port: int
    behaviour: dict[str, Behaviour | list[Behaviour]] = field(default_factory=dict)
    """By name; of a list each GET request takes the first, and the last one stays."""
    requests: list[Request] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hub(self) -> str:
        """The value of HF_ENDPOINT."""
        return self.url

    def address(self, name: str) -> str:
        return f"{self.url}/{name}"

    def drive_environment(self) -> dict[str, str]:
        """Variables that lead https requests, the drive's among them, to this server."""
        return {"HTTPS_PROXY": self.url, "https_proxy": self.url} | {
            "REQUESTS_CA_BUNDLE": str(authority()[1]),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def asked(self, method: str, name: str) -> list[Request]:
        """The requests for a name of the folder, in their order."""
        return [r for r in self.requests if r.method == method and _name(r) == name]

    def _behaviour(self, name: str, take: bool) -> Behaviour:
        with self.lock:
            found = self.behaviour.get(name, Behaviour())
            if not isinstance(found, list):
                return found
            return found.pop(0) if take and len(found) > 1 else found[0]


@contextmanager
def serve(folder: Path) -> Iterator[DataServer]:
    """Serve the files below `folder`, on a port of its own, until the block ends."""
    http = _Server(("127.0.0.1", 0), _Handler)
    http.state = DataServer(folder, http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield http.state
    finally:
        http.state.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _name(request: Request) -> str:
    """The name of the file in the folder that a request is for."""
    url = urlsplit(request.path)
    path = unquote(url.path)
    if request.host.split(":")[0].endswith("google.com"):
        return "drive/" + parse_qs(url.query).get("id", [""])[0]
    if hub := _HUB.fullmatch(path):
        return f"{hub[1]}/{hub[3]}"
    return path.removeprefix("/cdn/").removeprefix("/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    state: DataServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        """As a proxy would, but the other end is this server, too."""
        self._log()
        self.send_response(200)
        self.end_headers()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority()[0].configure_cert(context)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _log(self) -> Request:
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, self.path, headers, headers.get("host", ""))
        with self.server.state.lock:
            self.server.state.requests.append(request)
        return request

    def _answer(self) -> None:
        state = self.server.state
        request = self._log()
        name = _name(request)
        hub = _HUB.fullmatch(unquote(urlsplit(request.path).path))
        does = state._behaviour(name, take=request.method == "GET")
        if does.hang:
            state.stopping.wait(60)
            self.close_connection = True
        elif request.method == "HEAD" and does.head:
            self._page(does.head, "no HEAD here")
        elif does.status:
            self._page(does.status, f"{does.status} here", does.headers)
        elif does.redirect:
            self._page(302, "elsewhere", (("Location", does.redirect),))
        elif does.page:
            self._page(200, does.page)
        elif does.confirm and request.path.startswith("/uc"):
            form = _FORM.format(id=name.removeprefix("drive/"))
            self._page(200, _CONFIRM.format(form=form))
        else:
            try:
                content = does.content
                content = (state.folder / name).read_bytes() if content is None else content
            except OSError:
                code = (("X-Error-Code", "EntryNotFound"),) if hub else ()
                self._page(404, "not found", code)
                return
            tag = does.etag if does.etag is not None else hashlib.sha256(content).hexdigest()
            if hub and not does.direct:
                self._link(name, hub[2], tag, len(content))
            else:
                self._send(content, tag, does, name if name.startswith("drive/") else "")

    def _page(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        if not text.lstrip().startswith("<"):
            text = f"<html><head><title>{text}</title></head></html>"
        body = text.encode()
        self.send_response(status)
        for key, value in (("Content-Type", "text/html; charset=utf-8"), *headers):
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _link(self, name: str, revision: str, tag: str, size: int) -> None:
        """The hub's answer for a large file: what it is, and where it lies."""
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else COMMIT
        known = (("X-Repo-Commit", commit), ("X-Linked-Size", str(size)))
        # Another host than the hub's, as the real storage is: the library does not go there.
        place = ("Location", f"http://localhost:{self.server.state.port}/cdn/{name}")
        self._page(302, "see there", (*known, ("X-Linked-ETag", f'"{tag}"'), place))

    def _send(self, content: bytes, tag: str, does: Behaviour, drive: str) -> None:
        headers: Message = self.headers
        begin, end = 0, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range", ""))
        quoted = f'W/"{tag[2:]}"' if tag.startswith("W/") else f'"{tag}"'
        if_range = headers.get("If-Range", quoted) == quoted
        if asked and does.ranges and (if_range or not does.if_range):
            begin = int(asked[1]) + does.shift
            end = min(end, int(asked[2]) + 1) if asked[2] else end
            if begin >= len(content):
                self._page(416, "no such range", (("Content-Range", f"bytes */{len(content)}"),))
                return
            end = end if does.short is None else min(end, begin + does.short)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        for key, value in (("Content-Type", "application/octet-stream"), *does.headers):
            self.send_header(key, value)
        if tag:
            self.send_header("ETag", quoted)
        if does.direct:
            self.send_header("X-Repo-Commit", COMMIT)
        if drive:
            self.send_header("Content-Disposition", f'attachment; filename="{drive}"')
        if does.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(end - begin + does.longer))
        self.end_headers()
        if self.command != "HEAD":
            self._body(content[begin:end], does)

    def _body(self, body: bytes, does: Behaviour) -> None:
        cut = does.cut is not None and does.cut < len(body)
        body = body[: does.cut] if cut else body
        with suppress(OSError):  # the client went away
            if does.trickle:
                self.wfile.write(body[: does.fast])
                for i in range(does.fast, len(body)):
                    self.wfile.write(body[i : i + 1])
                    if self.server.state.stopping.wait(does.trickle):
                        break
            elif does.chunked:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
                self.wfile.write(b"" if cut else b"0\r\n\r\n")
            else:
                self.wfile.write(body)
        self.close_connection = bool(cut or does.longer or does.trickle)
