"""Whether there is a network, found out in seconds."""

from __future__ import annotations

from http.client import HTTPException
from queue import Empty, Queue
from threading import Thread
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

_NOT_THERE = (500, 502, 503, 504)  # of a gateway, or of a server that is not working
PATIENCE = 8.0  # seconds for a name, a connection and the first line of an answer


def require_reachable(url: str, advice: str) -> None:
    """Refuse to begin a download where its server does not answer.

    Proxies of the environment are used. Any answer of the server's will do, also that the page is
    not there, but not what a gateway says in its place: the libraries would ask again for a minute.

    Raises:
        OSError: with the server's name and `advice`.
    """
    answers: Queue[Exception | None] = Queue()

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
            answers.put(None)
        except HTTPError as answer:
            answer.close()
            answers.put(answer if answer.code in _NOT_THERE else None)
        except (OSError, HTTPException, ValueError) as error:
            answers.put(error)

    # Of its own, since looking up a name knows no time limit.
    Thread(target=ask, daemon=True).start()
    try:
        error = answers.get(timeout=PATIENCE)
    except Empty:
        error = TimeoutError(f"no answer in {PATIENCE:.0f} s")
    if error is not None:
        reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        raise OSError(f"{urlsplit(url).netloc} cannot be reached ({reason}); {advice}")
