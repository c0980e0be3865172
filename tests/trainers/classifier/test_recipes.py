"""Packaged recipes are the YAML files', and a config is what a trainer would have."""

import sys

import pytest
from dassl.config import get_cfg_default
from imported import CHECKOUT
from multimode_ot import load_clip
from multimode_ot.classifier import recipe
from multimode_ot.classifier.recipe import whole_config
from multimode_ot.config import flatten
from multimode_ot.methods import BUILT_IN, find_method

sys.path.insert(0, str(CHECKOUT / "scripts"))

import recipes as script

CLIP = load_clip("demo-vit")


def test_every_methods_recipe_is_that_of_its_yaml():
    assert recipe.recipes() == script.recipes(), "run: python scripts/recipes.py"
    assert set(recipe.recipes()) == set(BUILT_IN)


def test_they_are_of_the_backbone_that_most_methods_share():
    for method, found in recipe.recipes().items():
        text = script.config_file(method, found["config"]).read_text(encoding="utf-8")
        assert 'NAME: "ViT-B/16"' in text, method


def test_defaults_are_those_of_the_host():
    cfg = get_cfg_default()
    for node in ("INPUT", "OPTIM"):
        assert flatten(cfg[node]) == getattr(recipe, node)


@pytest.mark.parametrize("method", BUILT_IN)
def test_a_recipe_is_a_whole_config_for_any_backbone(method):
    from multimode_ot.training.checks import check_all_settings, try_settings

    kind = find_method(method)
    cfg = whole_config(kind, CLIP)
    assert cfg.INPUT.SIZE == (32, 32)
    if kind.steps.per_shot:
        cfg.DATASET.NUM_SHOTS = 16
    check_all_settings(cfg, kind)
    try_settings(cfg, kind, CLIP)


def test_aligns_is_as_published():
    cfg = whole_config(find_method("ALIGN"), CLIP)
    optim, inp = cfg.OPTIM, cfg.INPUT
    assert (optim.NAME, optim.LR, optim.MAX_EPOCH, optim.LR_SCHEDULER) == (
        "sgd",
        0.0025,
        20,
        "cosine",
    )
    assert (optim.WARMUP_EPOCH, optim.WARMUP_TYPE, optim.WARMUP_CONS_LR) == (1, "constant", 1e-5)
    assert inp.TRANSFORMS == ("random_resized_crop", "random_flip", "normalize")
    assert inp.INTERPOLATION == "bicubic" and cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 4


def test_changes_win_in_their_order_by_own_and_by_whole_keys():
    kind = find_method("PromptSRC")
    nested = {"WEIGHT_AVERAGE": {"MEAN": 3.0}}
    cfg = whole_config(
        kind, CLIP, None, {"N_CTX_TEXT": 3, "OPTIM.LR": 1.0}, {"OPTIM.LR": 2}, nested
    )
    node = cfg.TRAINER.PROMPTSRC
    assert (node.N_CTX_TEXT, cfg.OPTIM.LR, node.WEIGHT_AVERAGE.MEAN) == (3, 2.0, 3.0)


def test_a_yaml_takes_the_place_of_the_recipe_but_for_what_a_fit_does_not_read(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "OPTIM: {LR: 0.5}\nTRAIN: {PRINT_FREQ: 5}\nMODEL: {BACKBONE: {NAME: RN50}}\n"
        "DATALOADER: {NUM_WORKERS: 8, TRAIN_X: {BATCH_SIZE: 7}}\nTRAINER: {COOP: {N_CTX: 5}}\n"
    )
    cfg = whole_config(find_method("CoOp"), CLIP, str(file))
    assert (cfg.OPTIM.LR, cfg.OPTIM.NAME, cfg.OPTIM.MAX_EPOCH) == (0.5, "adam", 10)
    assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 7 and cfg.TRAINER.COOP.N_CTX == 5
    file.write_text("OPTIM: {LRR: 0.5}\n")
    with pytest.raises(ValueError, match=r"OPTIM\.LRR \(in .*own\.yaml\): did you mean OPTIM\.LR"):
        whole_config(find_method("CoOp"), CLIP, str(file))


def test_originals_keys_are_taken_and_initial_weights_refused(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("TRAINER: {COOP: {W: 4.0}}\n")
    cfg = whole_config(find_method("KgCoOp"), CLIP, str(file))
    assert cfg.TRAINER.KGCOOP.TEMPLATE_CONSISTENCY.WEIGHT == 4.0
    file.write_text("TRAINER: {PLOTPP: {PRETRAIN_DIR: weights.pth}}\n")
    with pytest.raises(ValueError, match=r"names initial weights \(weights\.pth\): a fit starts"):
        whole_config(find_method("PLOTPP"), CLIP, str(file))
