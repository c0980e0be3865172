"""Google Drive, through gdown and its own pages, behind a proxy on the loopback address."""

import json
import os
import threading

import pytest
from data_server import Behaviour, serve
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.errors import SourceError
from fewshot_datasets.get.fetch import fetch
from fewshot_datasets.get.progress import Progress

CONTENT = b"PK\x03\x04" + os.urandom(1_999_996)
ADDRESS = "https://drive.google.com/uc?id=10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O"
FILE = "drive/10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O"
QUOTA = """<html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "served/drive").mkdir(parents=True)
    (tmp_path / "served" / FILE).write_bytes(CONTENT)
    with serve(tmp_path / "served") as server:
        for key, value in server.drive_environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield server


def get(tmp_path, **known):
    return fetch(Remote(ADDRESS, **({"name": "x.zip"} | known)), tmp_path / "got")


def refusal(tmp_path, **known) -> str:
    with pytest.raises(SourceError) as caught:
        get(tmp_path, **known)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{ADDRESS}: ")
    return message


def left(tmp_path) -> list[str]:
    return sorted(os.listdir(tmp_path / "got"))


def ranges(server) -> list[str]:
    return [r.headers.get("range", "") for r in server.asked("GET", FILE)]


def interrupt(server, tmp_path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "TRIES", 1)
        server.behaviour[FILE] = Behaviour(cut=1_100_000)
        assert "incomplete" in refusal(tmp_path)
    del server.behaviour[FILE]
    server.requests.clear()


def test_a_file_comes_under_the_name_that_is_wanted(server, tmp_path, capfd):
    assert get(tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["x.zip", "x.zip.fetched.json"]
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "home").exists()


def test_the_page_that_asks_before_a_large_file_is_answered(server, tmp_path):
    server.behaviour[FILE] = Behaviour(confirm=True)
    assert get(tmp_path).read_bytes() == CONTENT
    hosts = [r.host for r in server.asked("GET", FILE)]
    assert hosts == ["drive.google.com", "drive.usercontent.google.com"]


def test_an_interrupted_file_goes_on_where_it_stopped(server, tmp_path):
    interrupt(server, tmp_path)
    assert get(tmp_path).read_bytes() == CONTENT
    begun = [r for r in ranges(server) if r]
    assert len(begun) == 1 and int(begun[0][len("bytes=") : -1]) >= 1_000_000
    assert left(tmp_path) == ["x.zip", "x.zip.fetched.json"]


def test_a_cut_connection_goes_on_in_the_same_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda *_: 0.01)
    server.behaviour[FILE] = [Behaviour(cut=600_000), Behaviour()]
    assert get(tmp_path).read_bytes() == CONTENT
    assert any(ranges(server))


def test_ranges_that_are_ignored_begin_anew(server, tmp_path, capsys):
    interrupt(server, tmp_path)
    server.behaviour[FILE] = Behaviour(ranges=False)
    assert get(tmp_path).read_bytes() == CONTENT
    assert "x.zip begins anew" in capsys.readouterr().out


def test_a_file_of_another_length_begins_anew(server, tmp_path, capsys):
    interrupt(server, tmp_path)
    (tmp_path / "served" / FILE).write_bytes(CONTENT + b"more")
    assert get(tmp_path).read_bytes() == CONTENT + b"more"
    assert "2,000,004, 2,000,000 is right; x.zip begins anew" in capsys.readouterr().out


def test_a_file_that_was_not_compared_yet_is_not_fetched_again(server, tmp_path):
    get(tmp_path).rename(tmp_path / "got/x.zip.part")
    notes = {"address": ADDRESS, "length": len(CONTENT)}
    (tmp_path / "got/x.zip.part.json").write_text(json.dumps(notes))
    asked = len(server.requests)
    assert get(tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == asked


def test_of_two_beginnings_the_longer_is_gone_on_with(server, tmp_path):
    interrupt(server, tmp_path)
    (tmp_path / "got/x.zip.partabcdefgh.part").write_bytes(CONTENT[:5])
    assert get(tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["x.zip", "x.zip.fetched.json"]


def test_what_was_begun_of_another_file_is_not_gone_on_with(server, tmp_path):
    interrupt(server, tmp_path)
    (tmp_path / "served/drive/2").write_bytes(CONTENT[::-1])
    address = "https://drive.google.com/uc?id=2"
    path = fetch(Remote(address, name="x.zip"), tmp_path / "got")
    assert path.read_bytes() == CONTENT[::-1]


def test_a_length_that_is_not_the_right_one_is_refused_at_once(server, tmp_path):
    assert "its length there is 2,000,000, 7 is right" in refusal(tmp_path, size=7)
    assert left(tmp_path) == []


def test_a_wrong_sum_keeps_nothing(server, tmp_path):
    assert f"{'0' * 32} is right" in refusal(tmp_path, md5="0" * 32)
    assert left(tmp_path) == []


def test_a_quota_is_one_line(server, tmp_path):
    server.behaviour[FILE] = Behaviour(page=QUOTA)
    assert "Too many users have viewed or downloaded" in refusal(tmp_path)
    assert left(tmp_path) == []


def test_a_file_that_is_not_public_is_one_line(server, tmp_path):
    server.behaviour[FILE] = Behaviour(page="<html><title>Sign in</title></html>")
    assert "Anyone with the link" in refusal(tmp_path)


def test_a_page_that_asks_forever_ends(server, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "WINDOW", 0.3)
    asks = f'<form id="download-form" action="{ADDRESS}"><input type="hidden" name="a" value="b">'
    server.behaviour[FILE] = Behaviour(page=f"<html>{asks}</form></html>")
    assert "too slow" in refusal(tmp_path)


def test_a_page_with_the_headers_of_a_file_is_no_archive(server, tmp_path):
    server.behaviour[FILE] = Behaviour(content=QUOTA.encode())
    message = refusal(tmp_path)
    assert 'a web page ("Google Drive - Quota exceeded") instead of x.zip' in message
    assert left(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403])
def test_a_status_is_named(server, tmp_path, status):
    server.behaviour[FILE] = Behaviour(status=status)
    assert refusal(tmp_path)


def test_a_trickle_ends_the_source_and_is_kept(server, tmp_path, monkeypatch):
    interrupt(server, tmp_path)
    monkeypatch.setattr(session, "WINDOW", 0.3)
    server.behaviour[FILE] = Behaviour(trickle=0.02)
    assert "too slow" in refusal(tmp_path)
    assert sum(os.path.getsize(tmp_path / "got" / n) for n in left(tmp_path)) > 1_000_000


def test_a_library_that_does_not_come_back_is_left_alone(server, tmp_path, monkeypatch):
    """As gdown does not from headers that come a letter at a time."""
    monkeypatch.setattr(session, "WINDOW", 0.2)
    monkeypatch.setattr(session, "GRACE", 0.2)
    over = threading.Event()
    monkeypatch.setattr("gdown.download", lambda **_: over.wait(20))
    assert "too slow" in refusal(tmp_path)
    assert not over.is_set()
    over.set()


def test_a_trickle_after_a_fast_beginning_ends_the_source(server, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "WINDOW", 0.5)
    server.behaviour[FILE] = Behaviour(trickle=0.02, fast=1_900_000)
    assert "too slow" in refusal(tmp_path)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_ctrl_c_and_a_full_disk_pass_and_keep_what_came(server, tmp_path, monkeypatch, fault):
    def move(*_):
        raise fault

    with monkeypatch.context() as patch, pytest.raises(type(fault)) as caught:
        patch.setattr(Progress, "move", move)
        get(tmp_path)
    assert caught.value is fault
    assert get(tmp_path).read_bytes() == CONTENT
    assert any(ranges(server))
    assert left(tmp_path) == ["x.zip", "x.zip.fetched.json"]


def test_no_connection(tmp_path, monkeypatch):
    with serve(tmp_path) as server:
        for key, value in server.drive_environment().items():
            monkeypatch.setenv(key, value)
    monkeypatch.setattr("random.uniform", lambda *_: 0.01)
    assert "refused" in refusal(tmp_path)
