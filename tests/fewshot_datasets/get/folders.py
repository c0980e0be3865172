"""A folder to place, and what is in folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def tree_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, through links."""
    return {
        os.path.relpath(os.path.join(where, name), folder): Path(where, name).read_bytes()
        for where, _, names in os.walk(folder, followlinks=True)
        for name in names
    }


def state_of(folder: Path) -> list[tuple]:
    """Names, kinds, times and content of all below a folder; of links, what they say."""
    entries = []
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        said = os.readlink(path) if path.is_symlink() else ""
        content = path.read_bytes() if path.is_file() and not said else b""
        sha = hashlib.sha256(content).hexdigest()
        entries.append((path, status.st_mode, status.st_mtime_ns, status.st_ino, said, sha))
    return entries


def write_folder(tmp_path: Path) -> Path:
    """A folder with files, a file that is a link, and what nobody wants; placed, it is WHOLE."""
    folder = tmp_path / "source"
    for name in ("a/1.jpg", "a/b/2.jpg", "c/3.jpg", ".DS_Store", "a/Thumbs.db"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (tmp_path / "store").write_text("stored")
    (folder / "c/4.jpg").symlink_to(tmp_path / "store")
    (folder / "c/broken.jpg").symlink_to(tmp_path / "nowhere")
    (folder / "c/round").symlink_to(folder, target_is_directory=True)
    return folder


WHOLE = {
    "a/1.jpg": b"a/1.jpg",
    "a/b/2.jpg": b"a/b/2.jpg",
    "c/3.jpg": b"c/3.jpg",
    "c/4.jpg": b"stored",
}
