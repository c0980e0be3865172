"""A session of `requests` as all fetching uses it, and its errors in words."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from fewshot_datasets.files import counted

from .libraries import library

CONNECT = 8.0  # seconds for a connection
READ = 30.0  # seconds between two pieces
WINDOW = 60.0  # seconds in which a source has to answer, then to bring LEAST bytes, or is given up
LEAST = 500_000
GRACE = 10.0  # seconds that a library has to end what was given up
TRIES = 5  # requests without LEAST bytes, one after the other, before a source is given up
PAUSE = 1.0  # seconds before the second of them; then twice as long each time

_LOOK = 0.05  # seconds between two looks at what is waited for
T = TypeVar("T")


def open_session(purpose: str) -> Any:
    """A `requests.Session` that asks for bytes as they are, and reads none that come unasked."""
    requests = library("requests", purpose)
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    session.max_redirects = 10
    session.headers.update({"User-Agent": "fewshot_datasets.get", "Accept-Encoding": "identity"})
    # Before it asks again, urllib3 would read all that comes with a status, and requests all that
    # comes with a redirect, into memory and without an end.
    retries = Retry(connect=1, read=0, other=0, respect_retry_after_header=False)
    session.hooks["response"].append(_close_redirect)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _close_redirect(answer: Any, **_: Any) -> None:
    if answer.is_redirect:
        answer.close()


def within(seconds: float, call: Callable[[], T], after: threading.Event | None = None) -> T:
    """What `call` returns or raises; TimeoutError if it takes longer, and then it is left alone.

    The time begins with the event `after`, if there is one. Limits of sockets are for each piece:
    a server that sends a letter now and then never meets one.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as e:
            answers.put((None, e))

    threading.Thread(target=run, daemon=True).start()
    while after is not None and answers.empty() and not after.wait(_LOOK):
        pass
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    result: T = value
    return result


@contextmanager
def watched(
    done: Callable[[], int], stop: Callable[[], object] = lambda: None
) -> Iterator[threading.Event]:
    """An event that is set, and `stop` called, as soon as a window brings fewer bytes than LEAST.

    `done` says how many bytes there are.
    """
    slow, over = threading.Event(), threading.Event()

    def watch() -> None:
        before = done()
        while not over.wait(WINDOW):
            if done() - before < LEAST:
                slow.set()
                with suppress(OSError, ValueError, RuntimeError):  # it has ended meanwhile
                    stop()
                return
            before = done()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield slow
    finally:
        over.set()
        thread.join()


def too_slow() -> str:
    """What is said of a source that `watched` has ended."""
    return f"too slow, fewer than {counted(LEAST, 'byte')} in {WINDOW:g} s; what came is kept"


def shown(address: str) -> str:
    """An address without the name and password that may stand in it."""
    try:
        url = urlsplit(address)
    except ValueError:
        return address
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2])) if url.netloc else address


def reason(error: BaseException) -> str:
    """Why a request failed, from the innermost of the errors that were raised from each other."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in error.args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        error = inner
    text = re.sub(r"<[\w.]+ object at 0x\w+>: |HTTPS?Connection(Pool)?\(.*?\): ", "", str(error))
    text = re.sub(r"IncompleteRead\((.*?)\)", r"cut: \1", text)
    return " ".join(text.split()) or type(error).__name__
