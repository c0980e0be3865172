import sys
from pathlib import Path

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.fetch import fetch

sys.path.insert(0, str(Path(__file__).parent))

from served_file import CONTENT


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.zip").write_bytes(CONTENT)
    with serve(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(session, "PAUSE", 0.01)
    monkeypatch.setattr(session, "READ", 5.0)


@pytest.fixture
def get(server, tmp_path):
    """Fetch x.zip with what is known of it."""

    def get(**known):
        return fetch(Remote(server.address("x.zip"), **known), tmp_path / "got")

    return get


@pytest.fixture
def begin(server, get):
    """Interrupt a download after so many bytes, as the first call of a user."""

    def begin(n: int = 100_000, **behaviour):
        server.behaviour["x.zip"] = Behaviour(cut=n, **behaviour)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "TRIES", 1)
            with pytest.raises(SourceError, match="cut: "):
                get()
        del server.behaviour["x.zip"]
        server.requests.clear()

    return begin
