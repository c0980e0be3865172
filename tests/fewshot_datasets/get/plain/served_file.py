"""The one file that tests of plain addresses fetch, and what is seen of that."""

import hashlib
import os

import pytest
from fewshot_datasets.get.errors import SourceError

CONTENT = b"PK\x03\x04" + os.urandom(199_996)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def refusal(get, **known) -> str:
    with pytest.raises(SourceError) as caught:
        get(**known)
    message = str(caught.value)
    assert "\n" not in message and "/x.zip" in message
    return message


def ranges(server) -> list[str]:
    return [r.headers.get("range", "") for r in server.asked("GET", "x.zip")]


def left(tmp_path) -> list[str]:
    return sorted(os.listdir(tmp_path / "got")) if (tmp_path / "got").is_dir() else []
