"""A fit sees what its backbone was trained to see, unless a file or the caller says otherwise."""

import pytest
import torch
from multimode_ot import Classifier, load_clip
from multimode_ot.backbone.architecture import OPENAI, Architecture, Preprocessing
from multimode_ot.backbone.clip import CLIP
from multimode_ot.classifier import recipe
from multimode_ot.classifier.recipe import whole_config
from multimode_ot.config import flatten
from multimode_ot.methods import BUILT_IN, find_method
from own_preprocessing import KEY, SEES, SETTINGS, SIZE, wide_pictures
from random_clip import random_state

QUICK = {"epochs": 1, "random_state": 0, "device": "cpu"}
SEEN = Preprocessing(SIZE, **SEES)


def odd(seen=SEEN):
    return CLIP(random_state("tiny-vit, 40 px"), Architecture(OPENAI, OPENAI, seen), "odd")


def inputs(cfg):
    found = {key: value for key, value in flatten(cfg).items() if key in SETTINGS}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}


@pytest.fixture
def pictures(tmp_path):
    paths = sorted(map(str, wide_pictures(tmp_path / "wide", 3).glob("*/*.png")))
    return paths, [path.split("/")[-2] for path in paths]


@pytest.fixture
def file(tmp_path):
    """A YAML with another mean than the backbone's."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "INPUT: {TRANSFORMS: [normalize], INTERPOLATION: nearest, PIXEL_MEAN: [0.1, 0.1, 0.1]}\n"
        "TRAINER: {COOP: {N_CTX: 2, PREC: fp32}}\n"
    )
    return path


def test_with_the_recipe_it_is_the_backbones(pictures):
    made = Classifier("CoOp", odd(), **QUICK).fit(*pictures)
    assert inputs(made.cfg_) == SETTINGS
    # What lies at the edges of wide pictures is seen.
    assert len({round(float(p[0]), 5) for p in made.predict_proba(pictures[0])}) == 3


@pytest.mark.parametrize("method", BUILT_IN)
@pytest.mark.parametrize("name", ["demo-vit", "one of OpenAI's"])
def test_nothing_changes_for_openais_models_and_the_demo(method, name):
    clip = load_clip("demo-vit") if name == "demo-vit" else odd(Preprocessing(SIZE))
    kind = find_method(method)
    before = whole_config(kind, clip, None, {KEY: "config"})
    assert (clip.resolution, clip.resolution) == before.INPUT.SIZE
    for key, value in recipe._recipe(kind).items():
        assert not key.startswith("INPUT.P") or list(flatten(before)[key]) == list(value)
    assert clip.architecture.preprocessing is not None
    assert whole_config(kind, clip).INPUT == before.INPUT


def test_of_a_backbone_that_does_not_say_it_is_the_recipes():
    silent = odd(None)
    cfg = whole_config(find_method("CoOp"), silent)
    assert cfg.INPUT == whole_config(find_method("CoOp"), silent, None, {KEY: "config"}).INPUT
    with pytest.raises(ValueError, match=f"{KEY} 'backbone': the preprocessing of odd is not"):
        whole_config(find_method("CoOp"), silent, None, {KEY: "backbone"})


def test_with_a_file_the_file_rules_and_it_is_said_once(pictures, file, recwarn):
    made = Classifier("CoOp", odd(), config=file, **QUICK).fit(*pictures)
    assert made.cfg_.INPUT.PIXEL_MEAN == [0.1, 0.1, 0.1]
    assert made.cfg_.INPUT.RESIZE_MODE == "shortest"
    (said,) = [str(w.message) for w in recwarn if KEY in str(w.message)]
    assert "INPUT.PIXEL_MEAN is [0.1, 0.1, 0.1], and odd was trained with [0.5, " in said


@pytest.mark.parametrize("in_file", [True, False])
def test_a_file_may_ask_for_the_backbones_and_so_may_the_caller(pictures, file, recwarn, in_file):
    settings = None if in_file else {KEY: "backbone"}
    if in_file:
        file.write_text(file.read_text() + "MODEL: {BACKBONE: {PREPROCESSING: backbone}}\n")
    made = Classifier("CoOp", odd(), config=file, settings=settings, **QUICK).fit(*pictures)
    assert inputs(made.cfg_) == SETTINGS
    assert not [w for w in recwarn if KEY in str(w.message)]


def test_a_file_that_leaves_the_backbones_mean_unused_is_refused(pictures, file):
    file.write_text("INPUT: {TRANSFORMS: [random_flip]}\n")
    asked = {"config": file, "settings": {KEY: "backbone"}}
    with pytest.raises(ValueError, match=r"INPUT\.TRANSFORMS .* lacks 'normalize'"):
        Classifier("CoOp", odd(), **asked, **QUICK).fit(*pictures)


@pytest.mark.parametrize("with_file", [True, False])
def test_what_the_caller_says_of_single_settings_counts_most(file, with_file):
    settings = {"INPUT.INTERPOLATION": "nearest", KEY: "backbone"}
    cfg = whole_config(find_method("CoOp"), odd(), str(file) if with_file else None, settings)
    assert inputs(cfg) == SETTINGS | {"INPUT.INTERPOLATION": "nearest"}


def test_a_word_that_is_none_is_refused():
    with pytest.raises(ValueError, match=f"{KEY} 'own' is unknown"):
        whole_config(find_method("CoOp"), odd(), None, {KEY: "own"})


def test_the_saved_folder_keeps_it(pictures, tmp_path):
    made = Classifier("CoOp", odd(), **QUICK).fit(*pictures)
    made.save(tmp_path / "saved")
    again = Classifier.load(tmp_path / "saved", clip=odd(), device="cpu")
    assert inputs(again.cfg_) == SETTINGS
    found, wanted = (torch.tensor(c.predict_proba(pictures[0])) for c in (again, made))
    torch.testing.assert_close(found, wanted)
