from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from data_server import serve
from fewshot_datasets.get.archives import unpack
from layouts import publish_all
from worlds import World, serve_all, write_sources


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> Iterator[World]:
    """The complete data root, all that is served of it, and the server."""
    place = tmp_path_factory.mktemp("served")
    root = publish_all(place / "data")
    (place / "served").mkdir()
    with serve(place / "served") as server:
        entries = serve_all(place / "served", root, server)
        yield World(root, entries, server, write_sources(place / "sources.yaml", entries))


@pytest.fixture
def world(everything, monkeypatch) -> World:
    """The same with nothing wrong yet; the libraries' servers are led to ours."""
    server = everything.server
    server.behaviour.clear()
    server.requests.clear()
    monkeypatch.setenv("HF_ENDPOINT", server.hub)
    for name, value in server.drive_environment().items():
        monkeypatch.setenv(name, value)
    return everything


@pytest.fixture
def put(tmp_path):
    """Writes an archive and unpacks it; returns the folder."""

    def call(content: bytes, name: str = "set.archive", **options: object) -> Path:
        (tmp_path / name).write_bytes(content)
        folder = tmp_path / "unpacked"
        folder.mkdir()
        unpack(tmp_path / name, folder, **options)
        return folder

    return call
