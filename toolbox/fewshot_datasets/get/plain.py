"""Files from http and https addresses.

`requests` does the transport: it is there with gdown, takes proxies, certificates and passwords
from the environment, follows redirects, and leaves ranges to its caller (pooch, wget and
torchvision's downloader begin anew after an interruption).
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fewshot_datasets.files import counted, say

from . import session as limits
from .errors import SourceError
from .pages import HEAD, page_instead
from .progress import Progress
from .session import open_session, reason, shown

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_BUSY, _ASKED = {429, 502, 503, 504}, 3  # statuses that pass, and how often they are taken so


class StatusError(SourceError):
    """The server answered with a status that is no success."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _CutError(Exception):
    """An answer ended before its end; the next request goes on."""


@dataclass(frozen=True)
class _File:
    """Which file an answer is of, as far as it says; what is begun has it in NAME.part.json."""

    key: str
    etag: str = ""
    modified: str = ""
    length: int | None = None

    def is_sound(self) -> bool:
        """Whether these are the types that were written; a disk may keep anything."""
        texts = all(isinstance(text, str) for text in (self.key, self.etag, self.modified))
        return texts and (self.length is None or type(self.length) is int)

    def differs(self, other: _File) -> bool:
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return any(a != b for a, b in pairs if a and b)


def bring(
    address: str,
    part: Path,
    name: str,
    key: str = "",
    size: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Bring the whole file at `address` to `part`, going on where an earlier call was interrupted.

    Args:
        name: the file's, for messages and to tell a web page from it.
        key: what the file is, for addresses that change from call to call; default: the address.
        size: bytes that the file must have, if known.
        headers: sent too.

    Raises SourceError, naming the address; what came stays in `part` for the next call, unless it
    is known to be wrong. OSError if `part` cannot be written.
    """
    with open_session(f"fetching {shown(address)}") as session:
        from requests import RequestException

        session.headers.update(headers or {})
        download = _Download(session, address, part, name, key or address, size)
        weak = 0
        while True:
            came = download.came
            try:
                download.go_on()
                return
            except (_CutError, RequestException) as e:
                weak = 0 if download.came - came >= limits.LEAST else weak + 1
                never = isinstance(e, RequestException) and not download.came
                if never or weak >= limits.TRIES:
                    kept = "; what came is kept" if _size(part) else ""
                    raise SourceError(f"{shown(address)}: {reason(e)}{kept}") from e
                time.sleep(limits.PAUSE * 2 ** max(weak - 1, 0))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def notes_of(part: Path) -> Path:
    """The file that says what `part` is the beginning of."""
    return part.with_name(part.name + ".json")


class _Download:
    """One file, over as many requests as it takes."""

    def __init__(
        self, session: Any, address: str, part: Path, name: str, key: str, size: int | None
    ) -> None:
        self.session, self.address, self.part = session, address, part
        self.name, self.key, self.size = name, key, size
        self.came = self.anew = self.busy = 0

    def go_on(self) -> None:
        """One request for what is missing; _CutError or RequestException if more is needed."""
        begun, done = self._begun()
        if done and done == (begun.length if self.size is None else self.size):
            return
        wanted = {}
        if done:
            wanted["Range"] = f"bytes={done}-"
            strong = "" if begun.etag.startswith("W/") else begun.etag
            if strong or begun.modified:
                wanted["If-Range"] = strong or begun.modified
        with self._ask(wanted) as answer, self._in_time(answer):
            now = self._of(answer)
            at = self._place(answer, begun, now, done)
            if answer.status_code == 416:  # nothing is missing
                return
            first = self._first(answer, now)
            if at < done:
                self._again("has changed" if begun.differs(now) else f"ignores {wanted['Range']}")
            with self.part.open("ab") as file:
                if at == 0:
                    file.truncate(0)
                    notes_of(self.part).write_text(json.dumps(asdict(now)), encoding="utf-8")
                self._copy(answer, first, file, at, now.length)

    def _ask(self, headers: Mapping[str, str]) -> Any:
        """The answer, of whose body nothing is read; RequestException if there is none."""
        from requests import RequestException

        times = (limits.CONNECT, limits.READ)
        try:
            return limits.within(
                limits.WINDOW,
                lambda: self.session.get(self.address, headers=headers, stream=True, timeout=times),
            )
        except RequestException:
            raise
        except (TimeoutError, ValueError) as e:  # the latter of a redirect to what is no address
            raise SourceError(f"{shown(self.address)}: {reason(e)}") from e

    @contextlib.contextmanager
    def _in_time(self, answer: Any) -> Iterator[None]:
        """SourceError if the body comes too slowly."""
        with limits.watched(lambda: self.came, answer.raw.shutdown) as slow:
            try:
                yield
            except _CutError:
                if not slow.is_set():
                    raise
            if slow.is_set():  # what came is cut, even if it does not show
                raise SourceError(f"{shown(self.address)}: {limits.too_slow()}")

    def _begun(self) -> tuple[_File, int]:
        """What was begun, and how many bytes of it are there: 0 if they are of something else."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            begun = _File(**json.loads(notes_of(self.part).read_text(encoding="utf-8")))
            if begun.key == self.key and begun.is_sound():
                done = _size(self.part)
                return begun, done if done <= (begun.length or done) else 0
        return _File(self.key), 0

    def _of(self, answer: Any) -> _File:
        total = _header(answer, "Content-Length") if answer.status_code == 200 else ""
        if span := _RANGE.fullmatch(_header(answer, "Content-Range")):
            total = span[3]
        length = int(total) if _LENGTH.fullmatch(total) else None
        tag, modified = _header(answer, "ETag"), _header(answer, "Last-Modified")
        return _File(self.key, tag, modified, length)

    def _place(self, answer: Any, begun: _File, now: _File, done: int) -> int:
        """The byte of the file at which an answer begins; SourceError if it is of no use."""
        status = answer.status_code
        if status == 200:
            return 0
        if not done or status not in (206, 416):
            words = f"status {status} ({answer.reason})" if answer.reason else f"status {status}"
            self.busy += 1
            if status in _BUSY and self.busy < _ASKED:
                raise _CutError(words)
            raise StatusError(f"{shown(self.address)}: {words}", status)
        span = _RANGE.fullmatch(_header(answer, "Content-Range"))
        begins = span is not None and span[1] == str(done)
        ends = status == 416 and now.length == done
        if (begins or ends) and not begun.differs(now):
            return done
        self._drop()
        came = _header(answer, "Content-Range") or "no range"
        why = (
            "has changed" if begun.differs(now) else f"answers {came} where bytes={done}- is asked"
        )
        self._again(why)
        raise _CutError(f"it {why}")

    def _first(self, answer: Any, now: _File) -> bytes:
        """The first piece; SourceError for what is known to be wrong before any of it is kept."""
        if self.size is not None and now.length is not None and now.length != self.size:
            right = f"has {counted(now.length, 'byte')} there, {self.size:,} are right"
            raise SourceError(f"{shown(self.address)}: {self.name} {right}")
        packed = _header(answer, "Content-Encoding").lower()
        if packed not in ("", "identity") and not self.name.endswith((".gz", ".tgz")):
            raise SourceError(f"{shown(self.address)}: {self.name} is sent as {packed} unasked")
        piece = self._read(answer)
        if answer.status_code == 200 and (page := page_instead(piece[:HEAD], self.name)):
            raise SourceError(f"{shown(self.address)}: {page} instead of {self.name}")
        return piece

    def _read(self, answer: Any) -> bytes:
        from urllib3.exceptions import HTTPError

        try:
            return answer.raw.read1(_CHUNK, decode_content=False) or b""
        except HTTPError as e:
            raise _CutError(reason(e)) from e

    def _copy(self, answer: Any, piece: bytes, file: Any, done: int, total: int | None) -> None:
        total = self.size if total is None else total
        with Progress(f"fetch {self.name}", total, done) as progress:
            while piece:
                file.write(piece)
                done += len(piece)
                self.came += len(piece)
                progress.advance(len(piece))
                if total is not None and done > total:
                    file.truncate(0)
                    raise SourceError(f"{shown(self.address)}: more than {total:,} bytes came")
                piece = self._read(answer)
            if total is not None and done < total:
                raise _CutError(f"cut after {done:,} of {total:,} bytes")

    def _again(self, why: str) -> None:
        self.anew += 1
        if self.anew > limits.TRIES:
            raise SourceError(f"{shown(self.address)}: begun anew {limits.TRIES} times; it {why}")
        say(f"{shown(self.address)} {why}: {self.name} begins anew")

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        notes_of(self.part).unlink(missing_ok=True)


def _header(answer: Any, name: str) -> str:
    return str(answer.headers.get(name, ""))
