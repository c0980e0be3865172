"""MaPLe, IVLP and VPT compute what the original programs compute."""

import original_keys as keys
import pytest
from parity import assert_parity

TINY = "tiny-vit"  # 4 text layers, 3 visual layers


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("n, words", [(2, "a photo of a"), (2, ""), (4, "a photo of a")])
def test_maple_equals_the_original(depth, n, words):
    assert_parity(
        "MaPLe",
        TINY,
        keys.coupled(TINY, depth, n),
        {"N_CTX": n, "CTX_INIT": words, "PROMPT_DEPTH": depth},
        lambda r, *args: r.maple(*args, words),
    )


def test_maple_with_more_than_four_tokens_has_no_words_in_its_prompt():
    assert_parity(
        "MaPLe",
        TINY,
        keys.coupled(TINY, 2, 6),
        {"N_CTX": 6, "CTX_INIT": "a photo of a", "PROMPT_DEPTH": 2},
        lambda r, *args: r.maple(*args, ""),
    )


@pytest.mark.parametrize("text, vision", [(1, 1), (4, 2), (2, 3), (1, 3), (3, 0)])
@pytest.mark.parametrize("n_text, n_vision", [(2, 2), (4, 3)])
def test_ivlp_equals_the_original_with_a_depth_for_each_tower(text, vision, n_text, n_vision):
    assert_parity(
        "IVLP",
        TINY,
        keys.in_text_blocks(TINY, text, n_text) | keys.in_image_blocks(TINY, vision, n_vision),
        {
            "N_CTX_TEXT": n_text,
            "N_CTX_VISION": n_vision,
            "PROMPT_DEPTH_TEXT": text,
            "PROMPT_DEPTH_VISION": vision,
        },
        lambda r, *args: r.ivlp(*args),
    )


def test_ivlp_with_text_prompts_alone_runs_on_a_resnet():
    shape = "tiny-resnet"
    assert_parity(
        "IVLP",
        shape,
        keys.in_text_blocks(shape, 4, 4),
        {
            "N_CTX_TEXT": 4,
            "N_CTX_VISION": 0,
            "PROMPT_DEPTH_TEXT": 4,
            "PROMPT_DEPTH_VISION": 0,
        },
        lambda r, *args: r.ivlp(*args),
    )


@pytest.mark.parametrize("depth", [1, 3])
def test_vpt_equals_the_original(depth):
    assert_parity(
        "VPT",
        TINY,
        keys.in_image_blocks(TINY, depth, 8),
        {"N_CTX_VISION": 8, "PROMPT_DEPTH_VISION": depth},
        lambda r, *args: r.vpt(*args),
    )
