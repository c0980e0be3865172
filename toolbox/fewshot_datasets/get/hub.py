"""Files of the Hugging Face hub: `hf://[datasets/]OWNER/NAME[@REVISION]/FILE`.

`huggingface_hub` says what a file is and where it lies: endpoint (HF_ENDPOINT), saved tokens, gated
repositories, revisions, sums. The bytes come as from any other address, because `hf_hub_download`
of version 2.4 begins anew after an interruption (each call writes to a name of its own).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import plain
from . import session as limits
from .catalogue import Remote
from .errors import GetError, SourceError
from .libraries import library

_ADDRESS = re.compile(
    r"hf://(?P<kind>datasets/)?(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[\w.-]+))?/(?P<file>.+)"
)
_LINKS = 3  # the hub's links to its storage end after an hour; so many are asked for


def bring(remote: Remote, part: Path, name: str) -> Remote:
    """Bring a hub's file to `part`; returns `remote` with the size and the sum that the hub names.

    Raises SourceError for what the hub refuses, does not have, or names other sums of.
    """
    for link in range(_LINKS):
        found, url = _ask(remote)
        known = _agreed(remote, found)
        there = part.stat().st_size if part.is_file() else 0
        try:
            key = f"{remote.address} {found.etag}"
            headers = _headers(found, url)
            plain.bring(found.location, part, name, key, known.size, headers)
            return known
        except plain.StatusError as e:
            came = part.stat().st_size if part.is_file() else 0
            if e.status in (401, 403) and came > there and link < _LINKS - 1:
                continue
            raise SourceError(f"{remote.address}: {e}") from e
        except SourceError as e:
            raise SourceError(f"{remote.address}: {e}") from e
    raise AssertionError("the last link returns or raises")


def size_of(remote: Remote) -> int | None:
    """The size that the hub names; raises SourceError as `bring` does."""
    size: int | None = _ask(remote)[0].size
    return size


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def for_browsers(address: str) -> str:
    """The address under which a browser gets the file; other addresses as they are."""
    spec = _ADDRESS.fullmatch(address)
    if spec is None:
        return address
    place = f"{endpoint()}/{spec['kind'] or ''}{spec['repo']}"
    return f"{place}/resolve/{spec['revision'] or 'main'}/{spec['file']}"


def _ask(remote: Remote) -> tuple[Any, str]:
    """What the hub says of a file (`HfFileMetadata`), and the address that was asked."""
    spec = _ADDRESS.fullmatch(remote.address)
    if spec is None:
        raise GetError(
            f"{remote.address} is not hf://OWNER/NAME/FILE or hf://datasets/OWNER/NAME@REVISION/FILE"
        )
    hub = library("huggingface_hub", f"fetching {remote.address}")
    try:
        url = hub.hf_hub_url(
            spec["repo"],
            spec["file"],
            repo_type="dataset" if spec["kind"] else None,
            revision=spec["revision"],
            endpoint=endpoint(),
        )
        found = limits.within(
            limits.WINDOW,
            lambda: hub.get_hf_file_metadata(url, timeout=limits.CONNECT, endpoint=endpoint()),
        )
    except Exception as e:  # its own, httpx's and those of what httpx uses
        raise SourceError(f"{remote.address}: {_why(e)}") from e
    if found.commit_hash is None or found.etag is None:
        raise SourceError(f"{remote.address}: {endpoint()} does not answer as a hub does")
    return found, url


def _why(error: Exception) -> str:
    """The library's errors in a line; theirs have paragraphs."""
    answer = getattr(error, "response", None)
    status = getattr(answer, "status_code", None)
    said = {
        "GatedRepoError": "the repository is gated: accept its terms there, then `hf auth login`",
        "RepositoryNotFoundError": "there is no such repository, or it is private",
        "RevisionNotFoundError": "the repository has no such revision",
        "RemoteEntryNotFoundError": "the repository has no such file",
        "EntryNotFoundError": "the repository has no such file",
        "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
    }.get(type(error).__name__)
    if said is None and status:  # of a mirror, say; the library's text has addresses of its own
        return f"status {status} ({answer.reason_phrase})"
    if said is None:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        if type(error).__name__ in ("ConnectError", "ConnectTimeout", "ProxyError"):
            said = f"no connection: {said}"
    return f"{said} (status {status})" if status else said


def _agreed(remote: Remote, found: Any) -> Remote:
    """What is known of the file, with what the hub adds; SourceError if they differ."""
    tag = found.etag.lower()
    kind = {64: "sha256", 40: "git_blob"}.get(len(tag)) if re.fullmatch("[0-9a-f]+", tag) else None
    told: dict[str, Any] = {"size": found.size} | ({kind: tag} if kind else {})
    for key, value in told.items():
        known = getattr(remote, key)
        if known and value is not None and known != value:
            raise SourceError(f"{remote.address}: its {key} there is {value}, {known} is right")
    return replace(remote, **{key: value for key, value in told.items() if value is not None})


def _headers(found: Any, url: str) -> dict[str, str]:
    """The token, for the hub itself only: its storage gets links that are signed."""
    if urlsplit(found.location).netloc != urlsplit(url).netloc:
        return {}
    headers = library("huggingface_hub.utils", "the hub").build_hf_headers()
    return {key: value for key, value in headers.items() if key.lower() == "authorization"}
