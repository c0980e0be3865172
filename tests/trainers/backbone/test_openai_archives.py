"""OpenAI's archives: how they are read, and how they come here."""

import hashlib
import os
import re
import threading
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from multimode_ot import load_clip
from multimode_ot.backbone.architecture import Preprocessing, Tower
from multimode_ot.backbone.downloads import openai, reach
from parity import random_images
from random_clip import package_model, random_state
from torch import nn

VIT = "tiny-vit"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive as OpenAI made theirs: the package's model, traced."""
    return traced(package_model(VIT), tmp_path_factory.mktemp("archive") / "ViT-Tiny.pt")


def traced(model, path):
    for constant in ("input_resolution", "context_length", "vocab_size"):
        model.__dict__.pop(constant, None)
        model.register_buffer(constant, torch.tensor(77))
    ids = torch.zeros(1, 77, dtype=torch.long)
    ids[0, 5] = 49407
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, (random_images(VIT)[:1], ids), check_trace=False).save(str(path))
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, a server with one archive, and the archive's name."""
    monkeypatch.setattr(openai, "FOLDER", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def serve(monkeypatch):
    """A server of OpenAI's archives: what it answers is set in it."""
    answers = {"body": b"", "length": None, "status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(b"")

        def do_GET(self):
            self.answer(answers["body"])

        def answer(self, body):
            self.send_response(answers["status"])
            self.send_header("Content-Length", str(answers["length"] or len(answers["body"])))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(openai, "SERVER", f"http://127.0.0.1:{server.server_port}")
    yield answers
    server.shutdown()
    server.server_close()


def sold_as(monkeypatch, name, path):
    """Have a file be the archive of a name."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(openai.ARCHIVES, name, (openai.ARCHIVES[name][0], digest))
    return path.read_bytes()


# How they are read


def test_an_archive_says_itself_how_it_is_run(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = load_clip(archive)
    state = clip.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in random_state(VIT).items() if k in state)
    assert clip.architecture.vision == clip.architecture.text == Tower("quick_gelu", 64)
    assert clip.resolution == 32 and clip.dtype == torch.float32


def test_an_archive_with_another_activation_is_no_openais(tmp_path):
    model = package_model(VIT)
    for block in (*model.visual.transformer.resblocks, *model.transformer.resblocks):
        block.mlp.gelu = nn.GELU()
    path = traced(model, tmp_path / "exact.pt")
    with pytest.raises(ValueError, match=r"exact\.pt: nothing in it says"):
        load_clip(path)
    assert load_clip(path, activation="gelu", head_width=64).architecture.text.activation == "gelu"


def test_an_archive_that_does_not_say_it_wants_to_be_told(tmp_path):
    path = tmp_path / "silent.pt"
    silent_archive(path)
    with pytest.raises(ValueError, match=r"silent\.pt: nothing in it says which activation"):
        load_clip(path)
    clip = load_clip(path, activation="gelu", head_width=32)
    assert clip.architecture.text == Tower("gelu", 32)
    torch.testing.assert_close(
        clip.visual.proj, random_state(VIT)["visual.proj"], atol=1e-3, rtol=0
    )


def silent_archive(path) -> None:
    """A TorchScript archive of OpenAI's parameter names and constants, without their program."""

    class Node(nn.Module):
        def forward(self, x):
            return x

    root = Node()
    for key, value in random_state(VIT).items():
        *parents, leaf = key.split(".")
        node = root
        for name in parents:
            if name not in dict(node.named_children()):
                node.add_module(name, Node())
            node = getattr(node, name)
        node.register_parameter(leaf, nn.Parameter(value.half(), requires_grad=False))
    for name in ("input_resolution", "context_length", "vocab_size"):
        root.register_buffer(name, torch.tensor(32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(root, torch.zeros(1)).save(str(path))


def test_one_of_openais_is_known_by_its_sum_alone(tmp_path, monkeypatch):
    path = tmp_path / "renamed.pt"
    silent_archive(path)
    sold_as(monkeypatch, "RN50", path)
    architecture = load_clip(path).architecture
    assert architecture.vision == architecture.text == Tower("quick_gelu", 64)
    assert architecture.preprocessing == Preprocessing(32)


def test_the_names_and_sums_are_those_of_the_clip_package():
    import clip

    theirs = {name: tuple(url.split("/")[-1:-3:-1]) for name, url in clip.clip._MODELS.items()}
    assert theirs == openai.ARCHIVES


# How they come here


def test_a_name_is_downloaded_once_checked_and_renamed(archive, cache, serve, monkeypatch):
    serve["body"] = sold_as(monkeypatch, "ViT-B/16", archive)
    first = load_clip("ViT-B/16")
    assert first.name == "ViT-B/16"
    assert [p.name for p in cache.iterdir()] == ["ViT-B-16.pt"]
    serve["status"] = 500
    assert load_clip("ViT-B/16").identity() == first.identity()


def test_a_proxy_of_the_environment_is_asked(archive, cache, serve, monkeypatch):
    serve["body"] = sold_as(monkeypatch, "RN50", archive)
    monkeypatch.setattr(urllib.request, "_opener", None)  # which keeps the proxies of its first use
    monkeypatch.setenv("http_proxy", openai.SERVER)
    monkeypatch.setattr(openai, "SERVER", "http://archives.invalid")
    assert load_clip("RN50").name == "RN50"


def test_what_a_killed_download_left_is_swept_and_what_another_writes_is_not(
    archive, cache, serve, monkeypatch
):
    serve["body"] = sold_as(monkeypatch, "ViT-B/16", archive)
    cache.mkdir()
    names = ("ViT-B-16.pt.part-a", "ViT-B-16.pt.part-b", "RN50.pt.part-c")
    dead, alive, other = (cache / name for name in names)
    for part in (dead, alive, other):
        part.write_bytes(b"half")
    for part in (dead, other):
        os.utime(part, (0, 0))
    load_clip("ViT-B/16")
    assert sorted(p.name for p in cache.iterdir()) == sorted(
        ["ViT-B-16.pt", alive.name, other.name]
    )


@pytest.mark.parametrize("fault", ["cut", "other bytes", "not there"])
def test_what_comes_otherwise_is_not_kept(archive, cache, serve, monkeypatch, fault):
    body = sold_as(monkeypatch, "RN50", archive)
    serve["body"] = {"cut": body[:-9], "other bytes": b"x" * len(body), "not there": b""}[fault]
    serve["length"] = len(body) if fault == "cut" else None
    serve["status"] = 404 if fault == "not there" else 200
    with pytest.raises(OSError, match=r"RN50\.pt.*MODEL\.BACKBONE\.NAME <path>") as refusal:
        load_clip("RN50")
    assert "\n" not in str(refusal.value)
    assert not list(cache.iterdir())


def test_a_file_in_its_place_that_is_another_is_neither_used_nor_lost(cache, monkeypatch):
    cache.mkdir()
    place = cache / "RN50.pt"
    place.write_bytes(b"half of a download")
    with pytest.raises(ValueError, match=re.escape(f"{place} is not OpenAI's RN50.pt")):
        load_clip("RN50")
    assert place.read_bytes() == b"half of a download"


def test_no_network_is_said_at_once_with_what_to_do(cache, monkeypatch):
    monkeypatch.setattr(openai, "SERVER", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9 cannot be reached.*put the file RN50\.pt"):
        load_clip("RN50")
    assert time.monotonic() - started < 10


def test_who_says_otherwise_is_refused_before_a_download(cache):
    with pytest.raises(ValueError, match="ACTIVATION 'gelu': RN50 says itself that it is quick_g"):
        load_clip("RN50", activation="gelu")
    assert not cache.exists()


def test_a_server_that_never_answers_is_given_up(cache, monkeypatch):
    import socket

    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(openai, "SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
    monkeypatch.setattr(reach, "PATIENCE", 0.2)
    with pytest.raises(OSError, match=r"cannot be reached"):
        load_clip("RN50")
    silent.close()
