"""The shipped YAMLs of the methods: they load, are complete, and hold the published values."""

from pathlib import Path

import pytest
from multimode_ot import extend_cfg
from multimode_ot.config import Check, merge_file
from multimode_ot.methods import find_method
from multimode_ot.methods.base import settings_path

dassl_config = pytest.importorskip("dassl.config")
ROOT = Path(__file__).parents[3] / "configs" / "trainers"
FILES = sorted(ROOT.glob("*/*.yaml"))
WORDS = "a photo of a"
FOUR = {"N_CTX_TEXT": 4, "N_CTX_VISION": 4, "CTX_INIT": WORDS}
NINE = {"PROMPT_DEPTH_TEXT": 9, "PROMPT_DEPTH_VISION": 9}


def load(file: Path):
    cfg = dassl_config.get_cfg_default()
    extend_cfg(cfg)
    merge_file(cfg, str(file))
    return cfg, cfg.TRAINER[file.parent.name.upper()]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_a_config_loads_and_its_settings_are_allowed(file):
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ") and len(first) > 20, "no line on what it reproduces"
    cfg, settings = load(file)
    method = find_method(file.parent.name)
    method.check_settings(Check(settings, settings_path(method.name)))
    assert isinstance(cfg.OPTIM.LR, float) and isinstance(cfg.OPTIM.WARMUP_CONS_LR, float)
    assert isinstance(cfg.INPUT.SIZE, tuple) and cfg.MODEL.BACKBONE.NAME
    assert cfg.INPUT.INTERPOLATION == "bicubic"
    if getattr(method, "fits_at_once", False):
        assert cfg.OPTIM.MAX_EPOCH == 1
    elif file.parent.name in OTHER_OPTIMISERS:
        assert OTHER_OPTIMISERS[file.parent.name] == cfg.OPTIM.NAME
        no_warm_up = file.parent.name in ("MMA", "CLIPLoRA")
        assert not no_warm_up or (cfg.OPTIM.LR_SCHEDULER, cfg.OPTIM.WARMUP_EPOCH) == ("cosine", 0)
    elif method.trains and file.stem != "rn50_val":
        assert cfg.OPTIM.NAME == "sgd" and cfg.OPTIM.LR_SCHEDULER == "cosine"
        assert (cfg.OPTIM.WARMUP_EPOCH, cfg.OPTIM.WARMUP_TYPE) == (1, "constant")
        assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5
        # Not in the files, but part of what was published.
        assert (cfg.OPTIM.MOMENTUM, cfg.OPTIM.WEIGHT_DECAY) == (0.9, 5e-4)


# Methods whose originals do not take SGD with a cosine after one epoch of warm-up.
OTHER_OPTIMISERS = {"TaskRes": "adam", "TipAdapterF": "adamw", "LinearProbe": "adam"}
OTHER_OPTIMISERS |= dict.fromkeys(["ZSLP", "CLAP", "LPPP", "MMA"], "sgd")
OTHER_OPTIMISERS |= {"CLIPLoRA": "adamw", "TCP": "adam"}
MMA = {
    "TEXT_CTX_INIT": WORDS,
    "ADAPTER_START": 5,
    "ADAPTER_END": 12,
    "ADAPTER_DIM": 32,
    "ADAPTER_SCALE": 0.001,
    "PREC": "amp",
}
LORA = {
    "ENCODER": "both",
    "POSITION": "all",
    "PARAMS": ("q", "k", "v"),
    "RANK": 2,
    "ALPHA": 1,
    "DROPOUT": 0.25,
    "ITERATIONS_PER_SHOT": 500,
    "PREC": "amp",
}
# Backbone, training batch, epochs, learning rate, and settings of the method.
PUBLISHED = {
    "CoOp/rn50": ("RN50", 32, 200, 0.002, {"CTX_INIT": "", "N_CTX": 16}),
    "CoOp/rn50_ep50": ("RN50", 32, 50, 0.002, {"CTX_INIT": ""}),
    "CoOp/rn50_ep100": ("RN50", 32, 100, 0.002, {"CTX_INIT": ""}),
    "CoOp/rn50_ctxv1": ("RN50", 32, 200, 0.002, {"CTX_INIT": WORDS}),
    "CoOp/rn50_ep50_ctxv1": ("RN50", 32, 50, 0.002, {"CTX_INIT": WORDS}),
    "CoOp/rn101": ("RN101", 32, 200, 0.002, {"CTX_INIT": ""}),
    "CoOp/rn101_ep50": ("RN101", 32, 50, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b32": ("ViT-B/32", 32, 200, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b32_ep50": ("ViT-B/32", 32, 50, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b16": ("ViT-B/16", 32, 200, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b16_ep50": ("ViT-B/16", 32, 50, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b16_ep100": ("ViT-B/16", 32, 100, 0.002, {"CTX_INIT": ""}),
    "CoOp/vit_b16_ctxv1": ("ViT-B/16", 32, 200, 0.002, {"CTX_INIT": WORDS, "PREC": "fp16"}),
    "CoOp/vit_b16_ep50_ctxv1": ("ViT-B/16", 32, 50, 0.002, {"CTX_INIT": WORDS}),
    "CoOp/vit_b16_ep100_ctxv1": ("ViT-B/16", 32, 100, 0.002, {"CTX_INIT": WORDS}),
    "CoCoOp/vit_b16_c4_ep10_batch1": ("ViT-B/16", 1, 10, 0.002, {"N_CTX": 4, "CTX_INIT": ""}),
    "CoCoOp/vit_b16_c8_ep10_batch1": ("ViT-B/16", 1, 10, 0.002, {"N_CTX": 8, "CTX_INIT": ""}),
    "CoCoOp/vit_b16_c16_ep10_batch1": ("ViT-B/16", 1, 10, 0.002, {"N_CTX": 16, "CTX_INIT": ""}),
    "CoCoOp/vit_b16_c4_ep10_batch1_ctxv1": (
        *("ViT-B/16", 1, 10, 0.002),
        {"N_CTX": 4, "CTX_INIT": WORDS},
    ),
    "MaPLe/vit_b16_c2_ep5_batch4_2ctx": (
        *("ViT-B/16", 4, 5, 0.0035),
        {"N_CTX": 2, "PROMPT_DEPTH": 9, "CTX_INIT": WORDS},
    ),
    "MaPLe/vit_b16_c2_ep5_batch4_2ctx_cross_datasets": (
        *("ViT-B/16", 4, 2, 0.0026),
        {"N_CTX": 2, "PROMPT_DEPTH": 3},
    ),
    "IVLP/vit_b16_c2_ep5_batch4_2+2ctx": (
        *("ViT-B/16", 4, 5, 0.0035),
        {
            "N_CTX_TEXT": 2,
            "N_CTX_VISION": 2,
            "PROMPT_DEPTH_TEXT": 12,
            "PROMPT_DEPTH_VISION": 12,
        },
    ),
    "IVLP/vit_b16_c2_ep5_batch4_4ctx_language_only": (
        *("ViT-B/16", 4, 5, 0.0025),
        {"N_CTX_TEXT": 4, "PROMPT_DEPTH_TEXT": 12, "PROMPT_DEPTH_VISION": 0},
    ),
    "VPT/vit_b16_c2_ep5_batch4_4": (
        *("ViT-B/16", 4, 5, 0.0025),
        {"N_CTX_VISION": 8, "PROMPT_DEPTH_VISION": 12},
    ),
    "KgCoOp/vit_b16_ep100_ctxv1": ("ViT-B/16", 128, 100, 0.002, {"CTX_INIT": WORDS}),
    "KgCoOp/rn50_ep100": ("RN50", 128, 100, 0.002, {"CTX_INIT": WORDS}),
    "ProGrad/rn50_ep50": ("RN50", 32, 50, 0.002, {"N_CTX": 16, "CTX_INIT": True}),
    "ProGrad/rn50_ep100": ("RN50", 32, 100, 0.002, {"N_CTX": 16, "CTX_INIT": True}),
    "ProGrad/rn50": ("RN50", 32, 200, 0.002, {"N_CTX": 16, "CTX_INIT": True}),
    "ProGrad/rn50_lambda08": ("RN50", 32, 200, 0.002, {"N_CTX": 16, "CTX_INIT": True}),
    "IVLP/vit_b16_c2_ep20_batch4_4+4ctx": ("ViT-B/16", 4, 20, 0.0025, FOUR | NINE),
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx": ("ViT-B/16", 4, 20, 0.0025, FOUR | NINE),
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx_cross_datasets": (
        *("ViT-B/16", 4, 20, 0.0025),
        FOUR | {"PROMPT_DEPTH_TEXT": 3, "PROMPT_DEPTH_VISION": 3},
    ),
    "PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot": (
        *("ViT-B/16", 4, 50, 0.0025),
        FOUR | NINE,
    ),
    "PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot_gpa45": (
        *("ViT-B/16", 4, 50, 0.0025),
        FOUR | NINE,
    ),
    "MMA/vit_b16_ep5": ("ViT-B/16", 16, 5, 0.0015, MMA),
    "MMA/vit_b16_ep5_imnet": ("ViT-B/16", 128, 5, 0.0015, MMA),
    "MMA/vit_b16_cross_datasets": ("ViT-B/16", 128, 1, 0.0015, MMA | {"ADAPTER_START": 9}),
    "CLIPLoRA/vit_b16": ("ViT-B/16", 32, 10, 0.0002, LORA),
    "TCP/vit_b16_ep50": ("ViT-B/16", 32, 50, 0.002, {"N_CTX": 4, "CTX_INIT": "", "W": 8.0}),
    "TCP/vit_b16_ep25": ("ViT-B/16", 32, 25, 0.002, {"N_CTX": 4, "CTX_INIT": "", "W": 8.0}),
    "PLOT/rn50": ("RN50", 128, 50, 0.002, {"N": 4, "N_CTX": 16}),
    "PLOT/rn50_ep200": ("RN50", 128, 200, 0.002, {"N": 4, "N_CTX": 16}),
    "PLOT/rn50_ep200_batch32": ("RN50", 32, 200, 0.002, {"N": 4, "N_CTX": 16}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_holds_the_published_values(name):
    cfg, settings = load(ROOT / f"{name}.yaml")
    *recipe, expected = PUBLISHED[name]
    loader, optim = cfg.DATALOADER, cfg.OPTIM
    got = [cfg.MODEL.BACKBONE.NAME, loader.TRAIN_X.BATCH_SIZE, optim.MAX_EPOCH, optim.LR]
    assert got == recipe
    test_batch = loader.TEST.BATCH_SIZE
    assert test_batch == {"PLOT": 200, "TCP": 500}.get(name.partition("/")[0], 100)
    assert cfg.INPUT.SIZE == (224, 224)
    assert list(cfg.INPUT.TRANSFORMS) == ["random_resized_crop", "random_flip", "normalize"]
    assert {key: settings[key] for key in expected} == expected
    assert expected.get("PREC", "fp16") == settings.PREC


# Of the regularisers that a method takes by itself.
HELD_BACK = {
    "KgCoOp/vit_b16_ep100_ctxv1": {"TEMPLATE_CONSISTENCY": {"WEIGHT": 8.0}},
    "ProGrad/rn50_ep50": {"GRADIENT_PROJECTION": {"LAMBDA": 1.0, "T": 1.0}},
    "ProGrad/rn50_ep100": {"GRADIENT_PROJECTION": {"LAMBDA": 1.0, "T": 1.0}},
    "ProGrad/rn50": {"GRADIENT_PROJECTION": {"LAMBDA": 1.0, "T": 1.0}},
    "ProGrad/rn50_lambda08": {"GRADIENT_PROJECTION": {"LAMBDA": 0.8, "T": 1.0}},
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx": {"WEIGHT_AVERAGE": {"MEAN": 15.0, "STD": 1.0}},
    "PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx_cross_datasets": {
        "WEIGHT_AVERAGE": {"MEAN": 6.0, "STD": 10.0}
    },
    "PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot": {
        "WEIGHT_AVERAGE": {"MEAN": 30.0, "STD": 30.0}
    },
    "PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot_gpa45": {
        "WEIGHT_AVERAGE": {"MEAN": 45.0, "STD": 5.0}
    },
}
CONSISTENCY = {"TEXT_WEIGHT": 25.0, "IMAGE_WEIGHT": 10.0, "LOGITS_WEIGHT": 1.0}


@pytest.mark.parametrize("name", HELD_BACK)
def test_a_published_config_holds_the_published_regularisers(name):
    _, settings = load(ROOT / f"{name}.yaml")
    expected = HELD_BACK[name]
    if name.startswith("PromptSRC"):
        expected = {"FROZEN_CONSISTENCY": CONSISTENCY} | expected
    assert {part.upper() for part in settings.REGULARISERS} == set(expected)
    assert {part: dict(settings[part]) for part in expected} == expected


@pytest.mark.parametrize("file", [f for f in FILES if f.parent.name in ("ZSLP", "CLAP")])
def test_prototypes_are_trained_as_published(file):
    cfg, settings = load(file)
    optim = cfg.OPTIM
    assert (optim.NAME, optim.MOMENTUM, optim.WEIGHT_DECAY) == ("sgd", 0.9, 0)
    assert (optim.LR_SCHEDULER, optim.WARMUP_EPOCH, optim.WARMUP_CONS_LR) == ("cosine", 1, 1e-5)
    assert (settings.VIEWS, settings.INIT) == (20, "ZS")
    if file.stem != "demo":
        assert (optim.LR, optim.MAX_EPOCH) == (0.1, 300)
        assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 256
        assert (settings.CLASS_NAMES == "raw") == (file.stem == "rn50")


@pytest.mark.parametrize("name", ["rn50", "vit_b16"])
def test_lppp_and_the_linear_probe_are_as_published(name):
    cfg, settings = load(ROOT / f"LPPP/{name}.yaml")
    optim = cfg.OPTIM
    assert (optim.NAME, optim.MOMENTUM, optim.WEIGHT_DECAY) == ("sgd", 0.9, 0)
    assert (optim.MAX_EPOCH, optim.LR_SCHEDULER, optim.STEPSIZE) == (300, "single_step", (-1,))
    assert optim.WARMUP_EPOCH < 1 and cfg.INPUT.RRCROP_SCALE == (0.5, 1.0)
    assert (settings.VIEWS, settings.TUNE, settings.ALPHA_EVERY) == (1, "none", 10)
    cfg, settings = load(ROOT / f"LinearProbe/{name}.yaml")
    assert (cfg.OPTIM.MAX_EPOCH, settings.TUNE, settings.NUM_STEP) == (1, "val", 8)
    cfg, settings = load(ROOT / f"LinearProbe/{name}_fixed_c.yaml")
    assert (cfg.OPTIM.MAX_EPOCH, settings.TUNE, settings.C) == (1, "none", 1.0)
