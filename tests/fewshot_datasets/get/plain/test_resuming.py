"""Plain addresses: a download that stopped goes on, or begins anew where it must."""

import json

import pytest
from data_server import Behaviour
from fewshot_datasets.get import session
from fewshot_datasets.get.catalogue import Remote
from fewshot_datasets.get.fetch import fetch
from served_file import CONTENT, SHA256, ranges, refusal


def test_an_interrupted_file_goes_on_where_it_stopped(server, get, begin):
    begin(123_456)
    assert get().read_bytes() == CONTENT
    (request,) = server.asked("GET", "x.zip")
    assert request.headers["range"] == "bytes=123456-"
    assert request.headers["if-range"] == f'"{SHA256}"'


def test_a_cut_connection_goes_on_in_the_same_call(server, get):
    server.behaviour["x.zip"] = [Behaviour(cut=50_000)] * 3 + [Behaviour()]
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=50000-", "bytes=100000-", "bytes=150000-"]


def test_a_connection_that_is_cut_again_and_again_is_given_up(server, get, tmp_path):
    server.behaviour["x.zip"] = Behaviour(cut=0)
    assert "cut: 0 bytes read, 200000 more expected" in refusal(get)
    assert len(ranges(server)) == session.TRIES


def test_connections_that_bring_enough_may_be_cut_more_often(server, get, monkeypatch):
    monkeypatch.setattr(session, "TRIES", 2)
    monkeypatch.setattr(session, "LEAST", 10_000)
    server.behaviour["x.zip"] = [Behaviour(cut=20_000)] * 6 + [Behaviour()]
    assert get().read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_is_noticed(server, get, begin, capsys):
    begin()
    server.behaviour["x.zip"] = Behaviour(ranges=False)
    assert get().read_bytes() == CONTENT
    assert "ignores bytes=100000-: x.zip begins anew" in capsys.readouterr().out


def test_a_server_that_ignores_ranges_and_cuts_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr(session, "LEAST", 10_000)
    server.behaviour["x.zip"] = Behaviour(ranges=False, cut=50_000)
    assert "begun anew 5 times; it ignores bytes=50000-" in refusal(get)


def test_a_file_that_has_changed_begins_anew(server, get, begin, capsys, tmp_path):
    begin()
    other = CONTENT[::-1]
    (tmp_path / "served/x.zip").write_bytes(other)
    assert get().read_bytes() == other
    assert "has changed: x.zip begins anew" in capsys.readouterr().out


def test_a_file_that_changes_under_a_server_that_ignores_if_range_begins_anew(
    server, get, begin, capsys, tmp_path
):
    begin(headers=(("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),), etag="")
    (tmp_path / "served/x.zip").write_bytes(CONTENT[::-1])
    new = (("Last-Modified", "Tue, 02 Jan 2024 00:00:00 GMT"),)
    server.behaviour["x.zip"] = Behaviour(headers=new, etag="", if_range=False)
    assert get().read_bytes() == CONTENT[::-1]
    assert "has changed" in capsys.readouterr().out
    assert ranges(server) == ["bytes=100000-", ""]


def test_without_validators_the_length_says_whether_a_file_is_the_same(server, get, begin):
    begin(etag="")
    server.behaviour["x.zip"] = Behaviour(etag="")
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-"]


def test_a_weak_validator_is_no_condition_and_is_compared(server, get, begin, capsys):
    begin(etag="W/one")
    server.behaviour["x.zip"] = Behaviour(etag="W/one")
    assert get().read_bytes() == CONTENT
    (request,) = server.asked("GET", "x.zip")
    assert request.headers["range"] == "bytes=100000-" and "if-range" not in request.headers


def test_another_weak_validator_begins_anew(server, get, begin, capsys):
    begin(etag="W/one")
    server.behaviour["x.zip"] = Behaviour(etag="W/other")
    assert get().read_bytes() == CONTENT
    assert "has changed" in capsys.readouterr().out


def test_a_part_of_what_was_asked_for_is_gone_on_with(server, get, begin):
    begin()
    server.behaviour["x.zip"] = [Behaviour(short=40_000), Behaviour()]
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-", "bytes=140000-"]


def test_a_range_that_begins_elsewhere_begins_anew(server, get, begin, capsys):
    begin()
    server.behaviour["x.zip"] = [Behaviour(shift=7), Behaviour()]
    assert get().read_bytes() == CONTENT
    said = capsys.readouterr().out
    assert "answers bytes 100007-199999/200000 where bytes=100000- is asked" in said


def test_what_was_begun_of_another_address_is_not_gone_on_with(server, get, begin, tmp_path):
    begin()
    (tmp_path / "served/other").write_bytes(b"PK\x03\x04 other")
    path = fetch(Remote(server.address("other"), name="x.zip"), tmp_path / "got")
    assert path.read_bytes() == b"PK\x03\x04 other"
    assert get().read_bytes() == CONTENT


def test_a_part_that_is_whole_is_not_asked_for(server, get, begin, tmp_path):
    begin()
    (tmp_path / "got/x.zip.part").write_bytes(CONTENT)
    assert get(sha256=SHA256).read_bytes() == CONTENT
    assert not server.requests


def test_a_part_that_is_whole_without_a_known_length_ends_with_416(server, get, begin, tmp_path):
    begin(chunked=True)
    (tmp_path / "got/x.zip.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["bytes=200000-"]


def test_a_part_that_is_too_long_begins_anew(server, get, begin, tmp_path):
    begin()
    (tmp_path / "got/x.zip.part").write_bytes(CONTENT + b"more")
    assert get().read_bytes() == CONTENT
    assert ranges(server) == [""]


def test_notes_that_cannot_be_read_begin_anew(server, get, begin, tmp_path):
    begin()
    (tmp_path / "got/x.zip.part.json").write_text("[")
    assert get().read_bytes() == CONTENT
    assert ranges(server) == [""]


def test_a_status_keeps_what_was_begun(server, get, begin):
    begin()
    server.behaviour["x.zip"] = [Behaviour(status=403), Behaviour()]
    assert "status 403" in refusal(get)
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-"] * 2


def test_redirects_are_followed_with_the_range(server, get, begin, tmp_path):
    begin()
    (tmp_path / "served/moved.zip").write_bytes(CONTENT)
    server.behaviour["x.zip"] = Behaviour(redirect=server.address("moved.zip"))
    assert get().read_bytes() == CONTENT
    assert server.asked("GET", "moved.zip")[0].headers["range"] == "bytes=100000-"


def test_a_web_page_costs_nothing_of_what_was_begun(server, get, begin):
    begin()
    server.behaviour["x.zip"] = [Behaviour(page="<html>sign in</html>"), Behaviour()]
    assert "a web page instead of x.zip" in refusal(get)
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-"] * 2


def test_ctrl_c_keeps_what_came(server, get, monkeypatch, tmp_path):
    from fewshot_datasets.get.progress import Progress

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            get()
    came = (tmp_path / "got/x.zip.part").stat().st_size
    assert came
    assert get().read_bytes() == CONTENT
    assert ranges(server) == ["", f"bytes={came}-"]


@pytest.mark.parametrize("note", [{"etag": 5}, {"modified": ["x"]}, {"length": "9"}])
def test_a_damaged_note_of_what_was_begun_begins_anew(note, server, get, begin, tmp_path):
    begin()
    path = tmp_path / "got/x.zip.part.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | note))
    assert get().read_bytes() == CONTENT
    assert ranges(server) == [""]
