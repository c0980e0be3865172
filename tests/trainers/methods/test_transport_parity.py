"""PLOT and the released ALIGN program (MMP) are computed as the originals compute them."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, TOLERANCE, assert_parity, random_images, reference, settings
from random_clip import random_clip

TINY = "tiny-vit"
# A class of one token and one of many: the prompts of a class differ in length, too.
UNEVEN = ["cat", "the_very_long-winded name of a class", "2012 Ferrari"]


@pytest.mark.parametrize("shape", ["tiny-resnet", TINY])
@pytest.mark.parametrize("dataset", [None, "ImageNet", "ImageNetV2"])
@pytest.mark.parametrize("prompts", [1, 4])
def test_plot_equals_the_original(shape, dataset, prompts):
    assert_parity(
        "PLOT",
        shape,
        keys.context(shape, prompts, 16),
        {"N": prompts},
        lambda r, *args: r.plot(*args, imagenet=dataset == "ImageNet"),
        dataset=dataset,
    )


def test_a_plot_logit_depends_on_the_batch_as_in_the_original():
    images = random_images("tiny-resnet", 3)
    model = build_model("PLOT", random_clip("tiny-resnet"), NAMES, settings("PLOT"))
    together = model(images)
    prompts = {k: v.detach() for k, v in model.prompt_learner.state_dict().items()}
    for batch in (images, images[:1]):
        expected = reference("tiny-resnet").plot(batch, NAMES, prompts)
        assert (model(batch) - expected).abs().max() < TOLERANCE
    assert together.shape == (3, len(NAMES))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "method, alignment",
    [("ALIGN", "hierarchical"), ("MultiModeOT", "hierarchical"), ("MultiModeOT", "prompt")],
)
@pytest.mark.parametrize(
    "sentences", [("a photo of a",), (), ("a photo of a", "one picture of some big")]
)
def test_the_released_head_equals_the_original(method, alignment, depth, sentences):
    assert_parity(
        method,
        TINY,
        keys.coupled(TINY, depth, 3, 2),
        {
            "HEAD": "released",
            "ALIGNMENT": alignment,
            "PROMPT_DEPTH": depth,
            "TEXT_PROMPT_NUMBER": 3,
            "VISION_PROMPT_NUMBER": 3,
            "CTX_INIT": "\t".join(sentences),
        },
        lambda r, *args: r.mmp(*args, sentences, alignment == "hierarchical"),
        names=UNEVEN,
    )


def test_the_released_head_gives_no_gradient_to_tokens():
    model = build_model(
        "ALIGN",
        random_clip(TINY),
        UNEVEN,
        settings("ALIGN", HEAD="released", PROMPT_DEPTH=2),
    )
    with torch.no_grad():
        image = model.image_features(random_images(TINY))
        text = model.class_features()
    tokens = image.tokens.requires_grad_(), text.tokens.requires_grad_()
    image.pooled.requires_grad_()
    model.logits(image, text).sum().backward()
    assert image.pooled.grad.any() and all(t.grad is None for t in tokens)
