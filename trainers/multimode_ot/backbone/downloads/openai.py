"""OpenAI's archives: downloaded by us to where their own package keeps them, checked, renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tqdm import tqdm

from .reach import require_reachable

FOLDER = Path("~/.cache/clip")  # where the clip package keeps them
ABANDONED = 3600  # seconds since the last byte of a download that no longer goes on
STALLED = 30  # seconds without a byte
SERVER = "https://openaipublic.azureedge.net/clip/models"
# File and sha256.
ARCHIVES = {
    "RN50": ("RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    "RN101": ("RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    "RN50x4": ("RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    "RN50x16": ("RN50x16.pt", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    "RN50x64": ("RN50x64.pt", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    "ViT-B/32": ("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    "ViT-B/16": ("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    "ViT-L/14": ("ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    "ViT-L/14@336px": (
        "ViT-L-14-336px.pt",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
    ),
}


def place(name: str) -> Path:
    """Where one of `ARCHIVES` is, or would be."""
    return FOLDER.expanduser() / ARCHIVES[name][0]


def is_known(path: Path) -> bool:
    """Whether a file is one of OpenAI's archives, whatever it is called."""
    return sha256_of(path) in {digest for _, digest in ARCHIVES.values()}


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(name: str) -> Path:
    """The archive of one of `ARCHIVES`, downloaded if it is not there.

    It is written to a temporary name beside its place, checked and renamed.

    Raises:
        ValueError: another file has its place.
        OSError: it is not there and cannot be had; where it was looked for is said.
    """
    path, (file, digest) = place(name), ARCHIVES[name]
    if path.exists():
        if not path.is_file() or sha256_of(path) != digest:
            raise ValueError(
                f"{path} is not OpenAI's {file} (its sha256 begins otherwise than {digest[:12]}), "
                "maybe the rest of a download that was cut: remove it, and it is downloaded anew; "
                "or name a file of your own: MODEL.BACKBONE.NAME <path>"
            )
        return path
    url = f"{SERVER}/{digest}/{file}"
    advice = (
        f"the weights of {name} are not here: put the file {file} into {path.parent}, or name it "
        "where it is: MODEL.BACKBONE.NAME <path>"
    )
    require_reachable(url, advice)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(url, path, digest)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise OSError(f"{url} could not be downloaded ({error}); {advice}") from None
    return path


def _download(url: str, path: Path, digest: str) -> None:
    print(f"Downloading {url} to {path}", flush=True)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.part-")
    try:
        found = hashlib.sha256()
        with os.fdopen(handle, "wb") as out, urlopen(url, timeout=STALLED) as source:
            total = int(source.headers.get("Content-Length") or 0) or None
            bar = tqdm(total=total, unit="iB", unit_scale=True, desc=path.name, disable=None)
            with bar:
                while chunk := source.read(2**20):
                    out.write(chunk)
                    found.update(chunk)
                    bar.update(len(chunk))
        if found.hexdigest() != digest:
            raise OSError(
                f"what came has the sha256 {found.hexdigest()[:12]}..., not {digest[:12]}...: cut "
                "on its way, or another file"
            )
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed downloads have left; one that goes on has written lately."""
    for part in path.parent.glob(f"{path.name}.part-*"):
        with suppress(OSError):  # another call may have swept or finished it
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
