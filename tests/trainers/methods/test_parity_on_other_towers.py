"""Methods on towers of other activations, heads, epsilons and MLPs compute what the original
programs would compute with such towers."""

import math

import adapted
import original_keys as keys
import pytest
from parity import assert_parity

SENTENCES = ("a photo of a",)
any_towers = pytest.mark.parametrize("shape", ["tiny-exact", "tiny-mixed"])


@any_towers
def test_coop(shape):
    assert_parity("CoOp", shape, keys.context(shape, 5), {"N_CTX": 5}, lambda r, *a: r.coop(*a))


@any_towers
def test_cocoop(shape):
    shapes = keys.context(shape, 4) | keys.meta_net(shape)
    assert_parity("CoCoOp", shape, shapes, {"N_CTX": 4}, lambda r, *a: r.cocoop(*a))


@any_towers
def test_maple(shape):
    changes = {"N_CTX": 2, "PROMPT_DEPTH": 3}
    assert_parity("MaPLe", shape, keys.coupled(shape, 3, 2), changes, lambda r, *a: r.maple(*a))


@any_towers
def test_ivlp(shape):
    assert_parity(
        "IVLP",
        shape,
        keys.in_text_blocks(shape, 4, 2) | keys.in_image_blocks(shape, 3, 2),
        {
            "N_CTX_TEXT": 2,
            "N_CTX_VISION": 2,
            "PROMPT_DEPTH_TEXT": 4,
            "PROMPT_DEPTH_VISION": 3,
        },
        lambda r, *args: r.ivlp(*args),
    )


@pytest.mark.parametrize("shape", ["tiny-exact", "tiny-mixed", "tiny-exact-resnet"])
def test_plot(shape):
    changes = {"N": 2, "N_CTX": 3}
    assert_parity("PLOT", shape, keys.context(shape, 2, 3), changes, lambda r, *a: r.plot(*a))


@any_towers
def test_align(shape):
    assert_parity(
        "ALIGN",
        shape,
        keys.coupled(shape, 3, 3, 2),
        {
            "HEAD": "released",
            "PROMPT_DEPTH": 3,
            "TEXT_PROMPT_NUMBER": 3,
            "VISION_PROMPT_NUMBER": 3,
            "CTX_INIT": "\t".join(SENTENCES),
        },
        lambda r, *args: r.mmp(*args, SENTENCES),
    )


@any_towers
@pytest.mark.parametrize("dtype", adapted.DTYPES, ids=str)
def test_low_rank_additions(shape, dtype):
    blocks = {"": range(4), "visual.": range(3)}
    pair = adapted.beside(
        "CLIPLoRA",
        keys.low_rank(shape, blocks, ["q_proj", "v_proj", "proj"], 2),
        lambda slow, *args: slow.clip_lora(*args, 1 / math.sqrt(2)),
        dtype,
        shape=shape,
        RANK=2,
        ALPHA=1.0,
        DROPOUT=0.0,
        PARAMS=("q", "v", "o"),
    )
    adapted.assert_parity(pair)
