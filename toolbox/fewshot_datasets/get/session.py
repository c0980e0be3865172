"""A session of `requests` as all fetching uses it, and its errors in words."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .libraries import library

CONNECT = 8.0  # seconds for a connection
READ = 30.0  # seconds between two pieces
WINDOW = 60.0  # seconds in which a source has to bring LEAST bytes, else it is given up
LEAST = 500_000
TRIES = 5  # requests without LEAST bytes, one after the other, before a source is given up
PAUSE = 1.0  # seconds before the second of them; then twice as long each time


def open_session(purpose: str) -> Any:
    """A `requests.Session` that asks for bytes as they are, and asks busy servers again."""
    requests = library("requests", purpose)
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    session.max_redirects = 10
    session.headers.update({"User-Agent": "fewshot_datasets.get", "Accept-Encoding": "identity"})
    retries = Retry(
        connect=1,
        read=0,
        other=0,
        status=2,
        status_forcelist=[429, 502, 503, 504],
        backoff_factor=PAUSE / 2,
        respect_retry_after_header=False,  # it may ask for hours
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


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
