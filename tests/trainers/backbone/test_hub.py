"""Repositories of the Hugging Face hub, on the loopback address."""

import json
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest
from hugging_face_models import make, model_config, save
from multimode_ot import load_clip
from multimode_ot.backbone.downloads import hub, reach
from multimode_ot.backbone.formats.folders import read_folder
from multimode_ot.backbone.sources import is_local

sys.path.append(str(Path(__file__).parents[2] / "fewshot_datasets" / "get"))
from data_server import COMMIT, Behaviour, serve

constants = pytest.importorskip(
    "huggingface_hub.constants", reason="huggingface_hub is not installed"
)

NAME, REPOSITORY = "hf:owner/name", "owner/name"
CONFIGS = ["processor_config.json", "preprocessor_config.json", "adapter_config.json"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of one model in all formats."""
    place, model = tmp_path_factory.mktemp("models"), make(model_config())
    for kind in ("safetensors", "sharded", "bin", "bin, sharded"):
        folder = save(model, place / kind, kind)
        (folder / "preprocessor_config.json").write_text('{"size": 32, "crop_size": 32}')
        (folder / "README.md").write_text("Nothing that is needed.")
    folder = place / "both"
    shutil.copytree(place / "bin", folder)
    shutil.copy(place / "safetensors" / "model.safetensors", folder / "open_clip_model.safetensors")
    config = {
        "embed_dim": 48,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 8,
            "width": 128,
            "layers": 2,
            "mlp_ratio": 200 / 128,
        },
        "text_cfg": {"width": 64, "heads": 1, "layers": 2, "mlp_ratio": 3.0},
    }
    told = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    return place


@pytest.fixture
def served(tmp_path):
    place = tmp_path / "served" / REPOSITORY
    place.parent.mkdir(parents=True)
    return place


@pytest.fixture
def server(served, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serve(tmp_path / "served") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        yield server


def asked(server) -> list[str]:
    """The files that were fetched, in their order."""
    found = [r.path.rpartition("/")[2] for r in server.requests if r.method == "GET"]
    return list(dict.fromkeys(found))


def refusal(kind=OSError, name=NAME) -> str:
    with pytest.raises(kind) as caught:
        load_clip(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


FETCHED = {
    "safetensors": ["model.safetensors"],
    "bin": ["pytorch_model.bin"],
    "sharded": ["model.safetensors.index.json", "model-00001-of-*"],
    "bin, sharded": ["pytorch_model.bin.index.json", "pytorch_model-00001-of-*"],
}


@pytest.mark.parametrize("kind", FETCHED)
def test_a_repository_is_fetched_once_and_nothing_else_of_it(models, served, server, kind):
    shutil.copytree(models / kind, served)
    assert not is_local(NAME) and hub.place(NAME) is None
    clip = load_clip(NAME)
    own = read_folder(models / kind, "x")
    assert clip.identity() == load_clip(str(models / kind)).identity()
    assert clip.architecture == own.architecture and clip.name == NAME
    assert clip.architecture.preprocessing.size == 32
    there = {p.name for p in served.iterdir()} - {"README.md"}
    assert set(asked(server)) == there
    assert all(any(Path(f).match(p) for f in asked(server)) for p in FETCHED[kind])
    assert asked(server)[:2] == ["config.json", "preprocessor_config.json"]

    server.requests.clear()
    assert is_local(NAME) and load_clip(NAME).identity() == clip.identity()
    assert not server.requests


def test_open_clips_format_wins(models, served, server):
    shutil.copytree(models / "both", served)
    clip = load_clip(NAME)
    assert asked(server) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert clip.architecture.preprocessing.mean == (0.5, 0.5, 0.5)
    assert clip.identity() == load_clip(str(models / "bin")).identity()
    assert is_local(NAME)


def test_safetensors_come_before_pickles(models, served, server):
    shutil.copytree(models / "bin", served)
    shutil.copy(models / "safetensors" / "model.safetensors", served)
    load_clip(NAME)
    assert asked(server)[-1] == "model.safetensors" and "pytorch_model.bin" not in asked(server)


def test_a_revision_is_asked_for_and_all_files_are_of_one_commit(models, served, server):
    shutil.copytree(models / "sharded", served)
    load_clip(f"{NAME}@v1.0")
    revisions = [r.path.split("/")[4] for r in server.requests if "/resolve/" in r.path]
    assert set(revisions) == {"v1.0", COMMIT} and revisions[-1] == COMMIT
    assert is_local(f"{NAME}@v1.0") and is_local(f"{NAME}@{COMMIT}") and not is_local(NAME)


def test_offline_from_the_cache(models, served, server, monkeypatch):
    shutil.copytree(models / "sharded", served)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refusal()
    assert message.startswith("HF_HUB_OFFLINE is set") and not server.requests
    assert "--local-dir FOLDER" in message and "MODEL.BACKBONE.NAME FOLDER" in message
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    identity = load_clip(NAME).identity()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_clip(NAME).identity() == identity


def test_what_is_missing_from_the_cache_is_fetched(models, served, server):
    shutil.copytree(models / "sharded", served)
    identity = load_clip(NAME).identity()
    lost = sorted(hub.place(NAME).glob("*-of-*"))[1]
    lost.resolve().unlink()
    assert not is_local(NAME)
    server.requests.clear()
    assert load_clip(NAME).identity() == identity
    assert asked(server) == [lost.name]


def test_a_transfer_that_is_cut_leaves_nothing_that_is_taken_for_whole(
    models, served, server, monkeypatch
):
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the library's tries
    shutil.copytree(models / "safetensors", served)
    file = f"{REPOSITORY}/model.safetensors"
    server.behaviour[file] = Behaviour(cut=1000, ranges=False)
    message = refusal()
    assert message.startswith(f"{server.hub}/{REPOSITORY}: model.safetensors: ")
    assert not is_local(NAME)
    server.behaviour.clear()
    assert load_clip(NAME).identity() == load_clip(str(models / "safetensors")).identity()


def test_a_damaged_file_of_the_cache_says_what_to_remove(models, served, server):
    shutil.copytree(models / "safetensors", served)
    load_clip(NAME)
    file = (hub.place(NAME) / "model.safetensors").resolve()
    file.write_bytes(file.read_bytes()[:-7])
    message = refusal(ValueError)
    assert "7 bytes are missing" in message and "models--owner--name, and it is" in message


def test_a_web_page_in_the_place_of_a_config_says_what_to_remove(models, served, server):
    shutil.copytree(models / "safetensors", served)
    (served / "config.json").write_text("<html>Log in to this network</html>")
    for _ in range(2):  # it stays in the cache
        message = refusal(ValueError)
        assert "config.json is no JSON" in message and "models--owner--name, and it is" in message


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "", "a token that may read it is given by `hf auth login` or HF_TOKEN"),
        (401, "RepoNotFound", "no such repository, or it is private: a token"),
        (403, "GatedRepo", "the repository is gated: accept its terms there; a token"),
        (404, "RepoNotFound", "no such repository, or it is private"),
        (404, "RevisionNotFound", "no such revision"),
        (410, "", "status 410 (Gone)"),
    ],
)
def test_what_the_hub_refuses_is_one_line(models, served, server, status, code, said):
    shutil.copytree(models / "safetensors", served)
    headers = (("X-Error-Code", code),) if code else ()
    for file in ("open_clip_config.json", "config.json"):
        server.behaviour[f"{REPOSITORY}/{file}"] = Behaviour(status=status, headers=headers)
    message = refusal()
    assert said in message and "MODEL.BACKBONE.NAME FOLDER" in message


def test_weights_that_are_gated_behind_an_open_config(models, served, server):
    shutil.copytree(models / "safetensors", served)
    gated = Behaviour(status=403, headers=(("X-Error-Code", "GatedRepo"),))
    server.behaviour[f"{REPOSITORY}/model.safetensors"] = gated
    assert "model.safetensors: the repository is gated" in refusal()


def test_a_mirror_that_only_says_404(models, served, server):
    shutil.copytree(models / "safetensors", served)
    for file in ("open_clip_config.json", *CONFIGS):
        server.behaviour[f"{REPOSITORY}/{file}"] = Behaviour(status=404)
    assert load_clip(NAME).name == NAME


def test_a_repository_without_a_config_or_without_weights(models, served, server):
    served.mkdir()
    (served / "x.bin").write_bytes(b"x")
    assert "neither open_clip_config.json nor config.json" in refusal(ValueError)
    shutil.copy(models / "bin" / "config.json", served)
    assert "none of model.safetensors, model.safetensors.index.json" in refusal(ValueError)


def test_half_a_set_on_the_hub(models, served, server):
    shutil.copytree(models / "sharded", served)
    lost = sorted(served.glob("*-of-*"))[2]
    lost.unlink()
    message = refusal(ValueError)
    assert lost.name in message and "model.safetensors.index.json" in message


def test_another_model_is_refused_before_its_weights_come(models, served, server):
    shutil.copytree(models / "safetensors", served)
    (served / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    assert "model_type 'siglip'" in refusal(ValueError)
    assert "model.safetensors" not in asked(server)


def test_an_adapter_is_refused_before_its_weights_come(models, served, server):
    shutil.copytree(models / "safetensors", served)
    (served / "adapter_config.json").write_text("{}")
    assert "adapter_config.json" in refusal(ValueError)
    assert "model.safetensors" not in asked(server)


def test_no_server(served, server, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", f"http://{address}")
    begin = time.monotonic()
    message = refusal()
    assert message.startswith(f"{address} cannot be reached") and "--local-dir FOLDER" in message
    assert time.monotonic() - begin < 10


def test_a_server_that_does_not_answer(server, monkeypatch):
    monkeypatch.setattr(reach, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot be reached" in refusal()


@pytest.mark.parametrize("name", ["hf:name", "hf:", "hf:a/b/c", "hf:a/b@", "hf:a..b/c", "hf:-a/b"])
def test_a_name_of_another_form(name, server):
    assert name in refusal(ValueError, name) and not server.requests


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install huggingface_hub" in refusal(ImportError)
