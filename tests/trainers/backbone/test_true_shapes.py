"""The methods on ViT-B/16 and RN50 in their true shapes: parity, and sizes of what is trained."""

import original_keys as keys
import pytest
from multimode_ot import build_model
from parity import NAMES, assert_parity, settings
from random_clip import random_clip

pytestmark = pytest.mark.slow
VIT, RN50 = "ViT-B/16", "RN50"
WORDS = "a photo of a"

CASES = {
    "CoOp": (
        VIT,
        keys.context(VIT, 16),
        {"CLASS_TOKEN_POSITION": "middle"},
        lambda r, *args: r.coop(*args, position="middle"),
        8_192,
    ),
    "CoCoOp": (
        VIT,
        keys.context(VIT, 4) | keys.meta_net(VIT),
        {"CTX_INIT": WORDS},
        lambda r, *args: r.cocoop(*args, WORDS),
        35_360,
    ),
    "MaPLe": (VIT, keys.coupled(VIT, 9, 2), {}, lambda r, *args: r.maple(*args), 3_555_072),
    "IVLP": (
        VIT,
        keys.in_text_blocks(VIT, 12, 2) | keys.in_image_blocks(VIT, 12, 2),
        {"PROMPT_DEPTH_TEXT": 12, "PROMPT_DEPTH_VISION": 12},
        lambda r, *args: r.ivlp(*args),
        30_720,
    ),
    "VPT": (
        VIT,
        keys.in_image_blocks(VIT, 12, 8),
        {"N_CTX_VISION": 8, "PROMPT_DEPTH_VISION": 12},
        lambda r, *args: r.vpt(*args),
        73_728,
    ),
    "ALIGN": (
        VIT,
        keys.coupled(VIT, 9, 4, 2),
        {"HEAD": "released"},
        lambda r, *args: r.mmp(*args),
        3_582_720,
    ),
    "PLOT": (RN50, keys.context(RN50, 4, 16), {}, lambda r, *args: r.plot(*args), 32_768),
}


@pytest.mark.parametrize("method", CASES)
def test_the_published_setting_equals_the_original(method):
    shape, prompts, changes, forward, _ = CASES[method]
    assert_parity(method, shape, prompts, changes, forward, names=NAMES[:2])


@pytest.mark.parametrize("method", CASES)
def test_as_many_numbers_are_trained_as_published(method):
    shape, _, changes, _, count = CASES[method]
    model = build_model(method, random_clip(shape), NAMES, settings(method, **changes))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count
