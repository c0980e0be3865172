"""open_clip's pretrained models by their names: which there are, and what runs them."""

import dataclasses
import inspect
import sys
import types

import pytest
import torch
from multimode_ot.backbone.downloads import open_clip as names
from multimode_ot.backbone.formats.open_clip import CONFIG
from multimode_ot.backbone.formats.open_clip_settings import DEFAULTS, NEUTRAL, ONLY, READ
from multimode_ot.backbone.formats.shapes import shape_of
from multimode_ot.backbone.names import check_backbone

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")

PAIRS = open_clip.list_pretrained()
SUPPORTED = names.supported()
REFUSED = {
    ("roberta-ViT-B-32", "laion2b_s12b_b32k"): "text_cfg.hf_model_name 'roberta-base'",
    ("convnext_base", "laion400m_s13b_b51k"): "vision_cfg.timm_model_name 'convnext_base'",
    ("EVA02-B-16", "merged2b_s8b_b131k"): "vision_cfg.timm_model_name 'eva02_base_patch16",
    ("ViT-B-16-SigLIP", "webli"): "vision_cfg.timm_model_name 'vit_base_patch16_siglip_224'",
    ("coca_ViT-B-32", "laion2b_s13b_b90k"): "model_cfg.multimodal_cfg",
    ("ViT-L-14-CLIPA", "datacomp1b"): "vision_cfg.pool_type 'avg'",
    ("ViT-H-14-worldwide-quickgelu", "metaclip2_worldwide"): "text_cfg.vocab_size 901629",
}


def test_every_pretrained_model_is_taken_or_refused_with_a_setting():
    assert sorted(SUPPORTED + list(names.refused())) == sorted(PAIRS)
    for pair, reason in names.refused().items():
        assert reason.partition(".")[0] in ("model_cfg", "vision_cfg", "text_cfg"), (pair, reason)
        assert reason.isprintable() and len(reason) < 250
    for pair, reason in REFUSED.items():
        assert names.refused()[pair].startswith(reason)
        with pytest.raises(ValueError) as caught:
            names.architecture(*pair)
        assert str(caught.value) == f"{names.name_of(*pair)}: {names.refused()[pair]}"


def test_no_model_is_refused_that_has_plain_towers():
    plain = set()
    for arch, tag in PAIRS:
        config = open_clip.get_model_config(arch)
        vision, text = config["vision_cfg"], config["text_cfg"]
        usual = text.get("vocab_size", 49408) == 49408 and "multimodal_cfg" not in config
        if usual and not {"timm_model_name", "pool_type"} & set(vision):
            plain.add((arch, tag)) if "hf_model_name" not in text else None
    assert plain == set(SUPPORTED)


def disagreements():
    for arch, tag in SUPPORTED:
        tags = open_clip.get_pretrained_cfg(arch, tag).get("quick_gelu", False)
        if tags != open_clip.get_model_config(arch).get("quick_gelu", False):
            yield arch, tag, tags


def test_where_architecture_and_tag_disagree_the_activation_is_the_tags():
    found = list(disagreements())
    assert len(found) >= 26 and ("ViT-B-16", "openai", True) in found
    for arch, tag, quick in found:
        ran_by = names.architecture(arch, tag)
        wanted = "quick_gelu" if quick else "gelu"
        assert ran_by.vision.activation == ran_by.text.activation == wanted, (arch, tag)


def test_where_they_agree_it_is_both_their_own():
    different = {(arch, tag) for arch, tag, _ in disagreements()}
    for arch, tag in set(SUPPORTED) - different:
        quick = open_clip.get_model_config(arch).get("quick_gelu", False)
        found = names.architecture(arch, tag).text.activation
        assert found == ("quick_gelu" if quick else "gelu"), (arch, tag)


@pytest.mark.parametrize("said, taken", [(None, ""), (False, "gelu"), (True, "quick_gelu")])
def test_a_tag_under_a_quick_architecture_has_to_say_what_it_is(said, taken, monkeypatch):
    says = dict(open_clip.get_pretrained_cfg("ViT-B-32-quickgelu", "openai"), quick_gelu=said)
    if said is None:
        del says["quick_gelu"]
    real = open_clip.get_pretrained_cfg
    told = lambda arch, tag: says if "quickgelu" in arch else real(arch, tag)  # noqa: E731
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", told)
    if taken:
        ran_by = names.architecture("ViT-B-32-quickgelu", "openai")
        assert ran_by.vision.activation == taken
    else:
        with pytest.raises(ValueError, match="its architecture says quick_gelu, and its tag noth"):
            names.architecture("ViT-B-32-quickgelu", "openai")


def test_what_runs_a_model_is_what_the_library_builds_of_it():
    archs = {arch: tag for arch, tag in SUPPORTED if not arch.endswith("-quickgelu")}
    assert len(archs) >= 14
    for arch, tag in archs.items():
        with torch.device("meta"):
            model = open_clip.CLIP(**open_clip.get_model_config(arch))
        ran_by = names.architecture(arch, tag)
        assert ran_by.shape == shape_of(model.state_dict(), arch)
        sides = [(model.transformer, ran_by.text)]
        if ran_by.shape.patch:
            sides.append((model.visual.transformer, ran_by.vision))
        else:
            heads = model.visual.attnpool.num_heads
            assert ran_by.vision.head_width == 32 * ran_by.shape.vision_width // heads
        for transformer, tower in sides:
            block = transformer.resblocks[0]
            assert block.attn.head_dim == tower.head_width and block.ln_1.eps == tower.eps


def test_the_images_are_the_tags():
    seen = names.architecture("ViT-H-14-378", "dfn5b").preprocessing
    assert (seen.size, seen.resize, seen.interpolation) == (378, "squash", "bicubic")
    seen = names.architecture("ViT-L-14", "laion2b_s32b_b82k").preprocessing
    assert seen.mean == seen.std == (0.5, 0.5, 0.5) and seen.resize == "shortest"
    for arch, tag in SUPPORTED:
        says, seen = (
            open_clip.get_pretrained_cfg(arch, tag),
            names.architecture(arch, tag).preprocessing,
        )
        assert (seen.mean, seen.std) == (says["mean"], says["std"])
        assert (seen.interpolation, seen.resize) == (says["interpolation"], says["resize_mode"])
        size = open_clip.get_model_config(arch)["vision_cfg"]["image_size"]
        assert seen.size == size


def test_names_are_written_as_the_library_takes_them():
    wanted = ("ViT-B-16", "laion2b_s34b_b88k")
    for name in ("ViT-B-16/laion2b_s34b_b88k", "ViT-B/16/LAION2B-s34b-b88k"):
        check_backbone(f"open_clip:{name}")
        assert names.pair_of(f"open_clip:{name}") == wanted
    assert names.name_of(*wanted) == "open_clip:ViT-B-16/laion2b_s34b_b88k"


@pytest.mark.parametrize(
    "name, said",
    [
        ("ViT-B-61/openai", "architecture 'ViT-B-61' is unknown: did you mean ViT-B-16"),
        ("ViT-B-16/laion2b_s34b", "tag 'laion2b_s34b' is unknown: did you mean laion2b_s34b_b88k"),
        ("ViT-B-16", "open_clip:ARCH/PRETRAINED, such as"),
        ("ViT-B-16/", "open_clip:ARCH/PRETRAINED, such as"),
        ("", "open_clip:ARCH/PRETRAINED, such as"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(name, said):
    with pytest.raises(ValueError) as caught:
        names.pair_of(f"open_clip:{name}")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "package, said",
    [
        (None, "open_clip_torch cannot be imported"),
        (types.ModuleType("open_clip"), "open_clip_torch cannot be imported"),
        (types.SimpleNamespace(get_pretrained_cfg=lambda *_: {"url": ""}), "2.29 and later do"),
    ],
    ids=["missing", "another one", "an old one"],
)
def test_without_a_library_that_says_enough_it_is_said_how_to_have_it(package, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", package)
    with pytest.raises(ImportError) as caught:
        names.pair_of("open_clip:ViT-B-16/openai")
    assert said in str(caught.value)
    assert str(caught.value).endswith('pip install "multimode-ot[open-clip]"')


def settings_of_the_library():
    from open_clip.transform import PreprocessCfg

    for section, cls in (
        ("vision_cfg", open_clip.CLIPVisionCfg),
        ("text_cfg", open_clip.CLIPTextCfg),
        ("preprocess_cfg", PreprocessCfg),
    ):
        yield section, {f.name: f.default for f in dataclasses.fields(cls)}
    taken = inspect.signature(open_clip.CLIP).parameters.values()
    yield "model_cfg", {p.name: p.default for p in taken}


def test_the_librarys_settings_are_known_with_its_defaults():
    for section, library in settings_of_the_library():
        for key, default in library.items():
            if key in DEFAULTS[section]:
                assert DEFAULTS[section][key] == default, (section, key)
            elif key in ONLY[section]:
                assert default in ONLY[section][key].values, (section, key)
            else:
                assert key in NEUTRAL[section] | READ[section], (section, key)
        assert set(DEFAULTS[section]) <= set(library)
    from open_clip.constants import HF_CONFIG_NAME

    assert HF_CONFIG_NAME == CONFIG
