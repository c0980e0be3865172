"""Whether there is a network, and which addresses still live."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from fewshot_datasets.files import counted

from . import hub
from . import session as limits
from .catalogue import Remote
from .errors import GetError
from .fetch import file_name, transport
from .libraries import library
from .pages import HEAD, page_instead
from .session import open_session, reason

ANSWER = 10.0  # seconds that one address has when it is probed
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}
_NO_HEAD = {400, 403, 405, 501}  # statuses of servers that send files and answer no HEAD


def reachable(addresses: Iterable[str], seconds: float = 8.0) -> bool:
    """Whether a host of these addresses takes a connection within so many seconds.

    Where the environment names a proxy, it is the proxy that has to. True as soon as one does, and
    if none of the addresses needs a network. A resolver that hangs is not waited for.
    """
    ends = {end for address in addresses if (end := _end(address))}
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def knock(end: tuple[str, int]) -> None:
        try:
            socket.create_connection(end, timeout=seconds).close()
            answers.put(True)
        except (OSError, UnicodeError):  # the latter of a host's name that cannot be one
            answers.put(False)

    for end in ends:
        threading.Thread(target=knock, args=(end,), daemon=True).start()
    until = time.monotonic() + seconds
    for _ in ends:
        try:
            if answers.get(timeout=max(until - time.monotonic(), 0)):
                return True
        except queue.Empty:
            return False
    return not ends


def _end(address: str) -> tuple[str, int] | None:
    """Host and port that an address needs first; None of a local file."""
    kind = transport(address)
    if kind == "file":
        return None
    url = urlsplit(hub.endpoint() if kind == "hub" else address)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.netloc.rpartition("@")[2]):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return _host_and_port(url)


def _host_and_port(url: SplitResult) -> tuple[str, int] | None:
    try:
        return (url.hostname, url.port or _PORTS.get(url.scheme, 80)) if url.hostname else None
    except ValueError:  # a port that is no number
        return None


def probe(remotes: Sequence[Remote], seconds: float | None = None) -> list[str]:
    """What each address answers when it is asked for its size only, in words.

    `200, 626,071,992 bytes`, `status 404 (Not Found)`, `a web page ("Sign in")`, `no answer within
    10 s`. All are asked at once; nothing is fetched. Raises GetError if a library is missing.
    """
    for name in ("requests", "huggingface_hub", "gdown"):
        library(name, "probing addresses")
    answers: list[str | None] = [None] * len(remotes)

    def ask(i: int) -> None:
        answers[i] = _asked(remotes[i])

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(len(remotes))]
    for thread in threads:
        thread.start()
    until = time.monotonic() + (ANSWER if seconds is None else seconds)
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return [answer or f"no answer within {ANSWER:g} s" for answer in answers]


def _asked(remote: Remote) -> str:
    try:
        return _ASK[transport(remote.address)](remote)
    except GetError as e:
        return str(e).removeprefix(f"{remote.address}: ")
    except Exception as e:  # whatever it is, it is an answer about this address
        return f"no connection: {reason(e)}"


def _ask_file(remote: Remote) -> str:
    path = Path(remote.address).expanduser()
    return _bytes("there", path.stat().st_size) if path.is_file() else "no such file"


def _ask_plain(remote: Remote) -> str:
    with open_session("probing addresses") as session:
        times = (limits.CONNECT, ANSWER)
        answer = session.head(remote.address, allow_redirects=True, timeout=times)
        page = "html" in answer.headers.get("Content-Type", "")
        size = answer.headers.get("Content-Length", "")
        if answer.status_code in _NO_HEAD or page:
            first = {"Range": "bytes=0-0"}
            answer = session.get(remote.address, headers=first, stream=True, timeout=times)
            size = answer.headers.get("Content-Length", "")
            if answer.status_code == 206:
                size = answer.headers.get("Content-Range", "").rpartition("/")[2]
            head = answer.raw.read1(HEAD, decode_content=True) if answer.ok else b""
            if found := page_instead(head, file_name(remote)):
                return found
            answer.close()
        if not answer.ok:
            return f"status {answer.status_code} ({answer.reason})"
    return _bytes("200", int(size) if size.isdigit() else None, remote.size)


def _ask_hub(remote: Remote) -> str:
    return _bytes("200", hub.size_of(remote), remote.size)


def _ask_drive(remote: Remote) -> str:
    """gdown says the file's name and not its size."""
    from gdown import download
    from gdown.exceptions import DownloadError

    from .drive import why

    try:
        found: Any = download(
            url=remote.address,
            quiet=True,
            skip_download=True,
            use_cookies=False,
            timeout=(limits.CONNECT, ANSWER),
        )
    except DownloadError as e:
        return why(e)
    return f"200, {found.path}, size not told"


def _bytes(state: str, size: int | None, right: int | None = None) -> str:
    if size is None:
        return f"{state}, size not told"
    other = "" if right in (None, size) else f"; {right:,} are right"
    return f"{state}, {counted(size, 'byte')}{other}"


_ASK: dict[str, Callable[[Remote], str]] = {
    "plain": _ask_plain,
    "hub": _ask_hub,
    "drive": _ask_drive,
    "file": _ask_file,
}
