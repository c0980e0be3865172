"""Files of Google Drive, through `gdown`: it knows the drive's pages, and goes on by ranges.

gdown waits for as long as bytes trickle. Its `cancel` event ends that from a thread of ours which
looks at what came in each window; where it does not look at the event, in what stands before the
bytes, it is left alone in a thread, and Ctrl-C arrives as anywhere.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from fewshot_datasets.files import say

from . import session as limits
from .catalogue import Remote
from .errors import SourceError
from .libraries import library
from .plain import notes_of
from .progress import Progress
from .session import reason

_RANDOM = 8  # letters between the name and `.part` of what gdown has not finished


class _ChangedError(Exception):
    """The file has another length than what was begun."""


def bring(remote: Remote, part: Path, name: str) -> Remote:
    """Bring a drive's file to `part`; returns `remote`, since a drive names no sums.

    Raises SourceError, with what the drive's page says of quota or permission.
    """
    gdown = library("gdown", f"fetching {remote.address}")
    if _notes(part).get("address") != remote.address:
        drop(part)
    if part.is_file():  # an earlier call ended before its sums were compared
        return remote
    begun = _one_left(part)
    while True:
        try:
            _download(gdown, remote, part, name)
            return remote
        except (_ChangedError, gdown.exceptions.DownloadError) as e:
            no_range = str(e).startswith("Server did not honor the requested byte range")
            again = no_range or isinstance(e, _ChangedError)
            if again or not _left(part):
                drop(part)
            if not (again and begun):
                raise SourceError(f"{remote.address}: {why(e)}") from e
            say(f"{remote.address}: {why(e)}; {name} begins anew")
            begun = False


def drop(part: Path) -> None:
    """Delete what is begun, by whichever way, and the note of what it is of."""
    left = _left(part) if part.parent.is_dir() else []
    for path in (*left, part, notes_of(part)):
        path.unlink(missing_ok=True)


def _notes(part: Path) -> dict[str, Any]:
    """Address and length of what was begun; empty if nothing was."""
    with suppress(OSError, ValueError, TypeError):
        return dict(json.loads(notes_of(part).read_text(encoding="utf-8")))
    return {}


def _one_left(part: Path) -> bool:
    """Whether gdown left something to go on with; of several, which it refuses, the longest."""
    left = sorted(_left(part), key=lambda path: path.stat().st_size)
    for path in left[:-1]:
        path.unlink()
    return bool(left)


def _left(part: Path) -> list[Path]:
    length = len(part.name) + _RANDOM + len(".part")
    return [
        path
        for path in part.parent.iterdir()
        if path.name.startswith(part.name)
        and path.name.endswith(".part")
        and len(path.name) == length
    ]


def _download(gdown: Any, remote: Remote, part: Path, name: str) -> None:
    from requests import RequestException

    def note(length: int | None) -> None:
        text = json.dumps({"address": remote.address, "length": length})
        notes_of(part).write_text(text, encoding="utf-8")

    known = _notes(part).get("length") if _left(part) else None
    note(known)
    with Progress(f"fetch {name}", remote.size) as progress:

        def advance(done: int, total: int | None) -> None:
            nonlocal known
            right = remote.size or known
            if total and right and total != right:
                raise _ChangedError(f"its length there is {total:,}, {right:,} is right")
            if known is None:
                known = total
                note(total)
            progress.move(done, total)

        with limits.watched(lambda: progress.done) as slow:

            def download() -> None:
                gdown.download(
                    url=remote.address,
                    output=str(part),
                    quiet=True,
                    resume=True,
                    use_cookies=Path("~/.cache/gdown/cookies.txt").expanduser().is_file(),
                    timeout=(limits.CONNECT, limits.READ),
                    retries=limits.TRIES - 1,
                    progress=advance,
                    cancel=slow,
                )

            try:
                limits.within(limits.GRACE, download, after=slow)
            except (gdown.exceptions.DownloadCancelled, TimeoutError) as e:
                raise SourceError(f"{remote.address}: {limits.too_slow()}") from e
            except RequestException as e:
                raise SourceError(f"{remote.address}: {reason(e)}") from e
            except (OSError, _ChangedError, gdown.exceptions.DownloadError):
                raise
            except Exception as e:  # of an answer that is no drive's
                text = f"gdown cannot read the answer ({type(e).__name__}: {reason(e)})"
                raise SourceError(f"{remote.address}: {text}") from e
            finally:
                slow.set()  # gdown writes nothing more


def why(error: Exception) -> str:
    """gdown's paragraphs in a line, without its advice to use a browser."""
    text = " ".join(str(error).split()).removeprefix("Failed to retrieve file url: ")
    return text.partition(" You may still be able to access")[0].partition(". The received")[0]
