"""open_clip's downloads and caches, on the loopback address."""

import hashlib
import socket
import sys
import time
from pathlib import Path

import pytest
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.downloads import open_clip as names
from multimode_ot.backbone.downloads import reach
from open_clip_models import differences, make, model_config, save

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
pytest.importorskip("trustme", reason="trustme is not installed")
sys.path.append(str(Path(__file__).parents[2] / "fewshot_datasets" / "get"))
from data_server import Behaviour, serve  # noqa: E402

NAME = "open_clip:ViT-tiny/of_a_test"
PAIR = ("ViT-tiny", "of_a_test")
REPOSITORY = "owner/tiny"
SAFE, PICKLED = (f"{REPOSITORY}/open_clip_{f}" for f in ("model.safetensors", "pytorch_model.bin"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Weights of quick GELU, whose architecture does not say so."""
    return make(model_config(quick_gelu=True), tmp_path_factory.mktemp("model"))


@pytest.fixture
def tag(monkeypatch):
    """The tag's settings, which a test may change."""
    from open_clip import factory, pretrained

    says = pretrained._pcfg(hf_hub=f"{REPOSITORY}/", quick_gelu=True, resize_mode="squash")
    monkeypatch.setitem(pretrained._PRETRAINED, PAIR[0], {PAIR[1]: says})
    monkeypatch.setitem(factory._MODEL_CONFIGS, PAIR[0], model_config())
    return says


@pytest.fixture
def use(monkeypatch, tmp_path, tag):
    """Makes an address the hub's, with empty caches."""
    constants = huggingface_hub.constants
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def at(url):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return at


@pytest.fixture
def server(tmp_path, use, model):
    save(model, model_config(), tmp_path / "served" / REPOSITORY)
    save(model, model_config(), tmp_path / "served" / REPOSITORY, "bin")
    with serve(tmp_path / "served") as server:
        use(server.hub)
        yield server


def loaded():
    weights = names.read(NAME)
    assert weights.name == NAME and weights.architecture.preprocessing.resize == "squash"
    return CLIP(weights.state, weights.architecture, weights.name)


def refusal(kind=OSError) -> str:
    with pytest.raises(kind) as caught:
        names.read(NAME)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_name_is_downloaded_once_and_runs_as_its_tag_says(server, model):
    assert names.place(*PAIR) is None
    assert max(differences(loaded(), model)) < 1e-5
    assert names.place(*PAIR).name == "open_clip_model.safetensors"
    asked = len(server.requests)
    assert max(differences(loaded(), model)) < 1e-5
    assert len(server.requests) == asked
    assert not server.asked("GET", PICKLED)


def test_what_is_in_the_cache_needs_no_network(server, use, monkeypatch):
    clip = loaded()
    use(f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert loaded().identity() == clip.identity()


@pytest.mark.parametrize("file", ["", "pytorch_model.bin"])
def test_a_repository_may_have_pickled_weights_alone(file, server, model, tag):
    (server.folder / SAFE).unlink()
    if file:
        (server.folder / PICKLED).rename(server.folder / REPOSITORY / file)
        tag["hf_hub"] = f"{REPOSITORY}/{file}"
    assert max(differences(loaded(), model)) < 1e-5
    assert names.place(*PAIR).name == (file or "open_clip_pytorch_model.bin")


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


ADVICE = (
    f"the weights of {NAME} are not here: open_clip_model.safetensors of the repository "
    f"{REPOSITORY} was looked for. Put such a file into a folder with its open_clip_config.json, "
    "and name that: MODEL.BACKBONE.NAME <folder>"
)


def test_without_a_network_it_is_said_soon_what_was_looked_for(use):
    port = closed_port()
    use(f"http://127.0.0.1:{port}")
    begun = time.monotonic()
    said = refusal()
    assert time.monotonic() - begun < 10
    assert said.startswith(f"127.0.0.1:{port} cannot be reached") and said.endswith(ADVICE)


def test_a_server_that_never_answers_is_waited_for_in_seconds(server, monkeypatch):
    monkeypatch.setattr(reach, "PATIENCE", 0.3)
    server.behaviour[SAFE] = Behaviour(hang=True)
    assert "cannot be reached" in refusal() and reach.PATIENCE < 10


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_without_a_network_is_not_asked_again_for_a_minute(status, server):
    server.behaviour[SAFE] = Behaviour(status=status, head=status)
    assert refusal().startswith(f"127.0.0.1:{server.port} cannot be reached (HTTP Error {status}")
    assert [r.method for r in server.requests] == ["HEAD"]


def test_where_the_hub_is_forbidden_nothing_is_asked(server, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert refusal() == f"HF_HUB_OFFLINE is set, which forbids the hub; {ADVICE}"
    assert not server.requests


def test_without_what_fetches_from_the_hub_it_is_said_how_to_have_it(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refusal(ImportError).endswith("are on the hub: pip install huggingface_hub")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_hub_does_not_give_is_one_line(status, server):
    server.behaviour = dict.fromkeys((SAFE, PICKLED), Behaviour(status=status, head=status))
    said = refusal()
    assert f"{server.hub}/{REPOSITORY}/resolve/main/open_clip_model.safetensors could not" in said
    assert str(status) in said and said.endswith(ADVICE)


def test_a_download_that_was_cut_is_one_line_and_leaves_nothing_to_be_read(server, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the library's tries
    (server.folder / PICKLED).unlink()
    server.behaviour[SAFE] = Behaviour(cut=1000, ranges=False)
    assert "the hub has open_clip_model.safetensors, but its transfer was cut" in refusal()
    assert names.place(*PAIR) is None
    server.behaviour.clear()
    loaded()


def test_a_damaged_file_in_the_cache_is_named(server):
    loaded()
    blob = names.place(*PAIR).resolve()
    blob.write_bytes(blob.read_bytes()[:-1000])
    assert refusal(ValueError).endswith(
        f". If it is damaged, remove {blob}, and it is downloaded anew"
    )
    blob.unlink()
    loaded()


# What has an address of its own, and the library's own cache


@pytest.fixture
def addressed(server, tag, tmp_path):
    """A file whose address tells the beginning of its sum; where the library puts it."""
    content = (server.folder / PICKLED).read_bytes()
    file = f"vit-{hashlib.sha256(content).hexdigest()[:8]}.pt"
    (server.folder / "mlfoundations").mkdir()
    (server.folder / "mlfoundations" / file).write_bytes(content)
    tag |= {"hf_hub": "", "url": server.address(f"mlfoundations/{file}")}
    return tmp_path / "home/.cache/clip" / file


def test_an_address_is_downloaded_to_the_librarys_own_cache(addressed, server, model):
    assert names.place(*PAIR) is None
    assert max(differences(loaded(), model)) < 1e-5
    assert names.place(*PAIR) == addressed
    asked = len(server.requests)
    loaded()
    assert len(server.requests) == asked


def test_what_older_libraries_have_downloaded_is_used_where_the_hub_is_preferred(
    addressed, server, tag
):
    loaded()
    tag["hf_hub"] = f"{REPOSITORY}/"
    asked = len(server.requests)
    assert names.place(*PAIR) == addressed
    loaded()
    assert len(server.requests) == asked


def test_half_a_file_is_downloaded_anew_or_named(addressed, server):
    loaded()
    addressed.write_bytes(addressed.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="re-downloading the file"):  # the library's
        loaded()
    addressed.write_bytes(addressed.read_bytes()[:1000])
    server.behaviour[f"mlfoundations/{addressed.name}"] = Behaviour(status=503, head=503)
    said = refusal()
    assert f"{addressed} is cut or damaged" in said and "503" in said


def test_an_address_that_cannot_be_reached_is_said(addressed, server, tag):
    tag["url"] = f"http://127.0.0.1:{closed_port()}/mlfoundations/{addressed.name}"
    assert f"{tag['url']} was looked for. Put such a file" in refusal()
