"""`multimode-ot backbones`: what each name is, and where its weights are looked for."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from multimode_ot import available_backbones
from multimode_ot.backbone.downloads import openai
from multimode_ot.backbone.listing import parameters_of
from multimode_ot.backbone.openai_shapes import OPENAI_SHAPES
from multimode_ot.commands import main
from own_preprocessing import open_clip_folder
from random_clip import random_clip, random_state


@pytest.fixture
def nothing_here(tmp_path, monkeypatch):
    """No weights in any cache."""
    monkeypatch.setattr(openai, "FOLDER", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def without_open_clip(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)


def listed(capsys, *words):
    main(["backbones", *words, "--format", "json"])
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_every_name_that_is_available_is_listed(capsys, nothing_here, without_open_clip):
    assert list(listed(capsys)) == available_backbones()


def test_it_says_what_is_here_and_where_the_rest_would_be(capsys, nothing_here, without_open_clip):
    nothing_here.mkdir()
    (nothing_here / "RN50.pt").write_bytes(b"x")
    found = listed(capsys)
    assert found["RN50"]["here"] and found["demo-vit"]["here"]
    assert not found["ViT-B/16"]["here"]
    assert found["ViT-B/16"]["weights"] == str(nothing_here / "ViT-B-16.pt")
    assert set(listed(capsys, "--here")) == {"RN50", "demo-vit"}


def test_a_row_has_sizes_heads_activation_and_pictures(capsys, nothing_here, without_open_clip):
    main(["backbones", "ViT-L/14@336px", "RN50x64", "demo-vit"])
    vit, resnet, demo = capsys.readouterr().out.splitlines()[2:5]
    for part in ("no", "336", "427.9 M", "768", "ViT 24 x 1024, 16 heads, patch 14", "quick_gelu"):
        assert f" {part} " in f"{vit} "
    assert "12 x 768, 12 heads" in vit and "bicubic, shortest" in vit
    assert "448" in resnet and "623.3 M" in resnet and "ResNet 3-15-36-10 x 128" in resnet
    assert " yes " in demo and " 32 " in demo


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-exact", "tiny-resnet"])
def test_parameters_are_those_of_the_weights(shape):
    clip = random_clip(shape)
    known = replace(clip.architecture, shape=clip.shape)
    assert parameters_of(known) == sum(p.numel() for p in clip.parameters())


def test_names_and_paths_may_be_mixed_and_nothing_is_downloaded(capsys, tmp_path, nothing_here):
    folder = str(open_clip_folder(tmp_path / "odd"))
    found = listed(capsys, "ViT-B/16", folder, "demo-vit")
    assert list(found) == ["ViT-B/16", folder, "demo-vit"]
    assert not found["ViT-B/16"]["here"] and found["demo-vit"]["weights"].endswith(".pt.gz")
    assert found[folder]["here"] and found[folder]["preprocessing"]["resize"] == "squash"


def test_a_repository_of_the_hub_is_not_asked_for_what_is_not_in_the_cache(
    capsys, tmp_path, monkeypatch
):
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="huggingface_hub is not installed"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.invalid")
    found = listed(capsys, "hf:owner/name")["hf:owner/name"]
    assert found["weights"] == "http://mirror.invalid/owner/name" and not found["here"]
    main(["backbones", "hf:owner/name"])
    assert capsys.readouterr().out.rstrip().endswith("mirror.invalid/owner/name")


def test_a_file_is_read_and_shown_or_refused(capsys, tmp_path):
    path = tmp_path / "bare.pt"
    torch.save(random_state("tiny-vit"), path)
    with pytest.raises(SystemExit):
        main(["backbones", str(path)])
    assert "nothing in it says which activation" in capsys.readouterr().err


def test_an_unknown_name_has_its_nearest(capsys, nothing_here, without_open_clip):
    with pytest.raises(SystemExit):
        main(["backbones", "ViT-B/61"])
    said = capsys.readouterr().err
    assert "did you mean ViT-B/16" in said and len(said) < 400


def test_a_model_of_open_clip_that_cannot_be_used_has_its_reason(capsys):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    with pytest.raises(SystemExit):
        main(["backbones", "open_clip:ViT-B-16-SigLIP/webli"])
    assert "an image tower of timm (SigLIP's" in capsys.readouterr().err


def test_without_open_clip_it_says_how_to_get_its_names(capsys, nothing_here, without_open_clip):
    main(["backbones"])
    assert "open_clip:ARCH/PRETRAINED needs pip install" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["backbones", "--refused"])
    assert "pip install" in capsys.readouterr().err


# With open_clip


def test_open_clips_models_are_listed_with_their_tags_settings(capsys, nothing_here):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    found = listed(capsys)
    huge = found["open_clip:ViT-H-14/dfn5b"]
    assert huge["preprocessing"]["resize"] == "squash"
    assert huge["vision"] == {"activation": "quick_gelu", "head_width": 80, "eps": 1e-5}
    assert huge["text"]["head_width"] == 64
    giant = found["open_clip:ViT-g-14/laion2b_s12b_b42k"]
    assert giant["shape"]["vision_hidden"] == 6144 and giant["vision"]["head_width"] == 88
    large = found["open_clip:ViT-L-14/laion2b_s32b_b82k"]
    assert large["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert not any("SigLIP" in name for name in found)


def test_those_that_cannot_be_used_have_their_reason(capsys):
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    main(["backbones", "--refused"])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert all(len(row.split(None, 1)) == 2 for row in rows)
    reasons = dict(row.split(None, 1) for row in rows)
    assert "open_clip:coca_ViT-B-32/laion2b_s13b_b90k" in reasons
    assert "open_clip:ViT-B-16-SigLIP/webli" in reasons
    main(["backbones", "--refused", "--format", "json"])
    assert json.loads(capsys.readouterr().out).keys() == reasons.keys()


def test_openais_shapes_are_those_that_open_clip_has_of_them():
    pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    from multimode_ot.backbone.downloads.open_clip import architecture

    for name, shape in OPENAI_SHAPES.items():
        arch = name.replace("/", "-").replace("@", "-").replace("px", "")
        assert architecture(arch, "openai").shape == shape
