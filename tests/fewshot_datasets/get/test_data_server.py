import requests
from data_server import Behaviour, serve


def test_it_serves_files_ranges_and_faults(tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(range(100)))
    with serve(tmp_path) as server:
        url = server.address("x.bin")
        assert requests.get(url, timeout=5).content == bytes(range(100))
        part = requests.get(url, headers={"Range": "bytes=90-"}, timeout=5)
        assert (part.status_code, part.content) == (206, bytes(range(90, 100)))
        assert requests.head(url, timeout=5).headers["Content-Length"] == "100"
        assert requests.get(server.address("y"), timeout=5).status_code == 404
        server.behaviour["x.bin"] = [Behaviour(status=403), Behaviour(ranges=False)]
        assert requests.get(url, timeout=5).status_code == 403
        assert requests.get(url, headers={"Range": "bytes=90-"}, timeout=5).status_code == 200
        assert [r.method for r in server.asked("HEAD", "x.bin")] == ["HEAD"]


def test_it_is_a_drive_behind_a_proxy(tmp_path, monkeypatch):
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive/123").write_bytes(b"content")
    with serve(tmp_path) as server:
        for key, value in server.drive_environment().items():
            monkeypatch.setenv(key, value)
        for _ in range(2):
            answer = requests.get("https://drive.google.com/uc?id=123", timeout=5)
            assert answer.content == b"content"
        assert len(server.asked("GET", "drive/123")) == 2
