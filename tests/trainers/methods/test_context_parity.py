"""Zero-shot CLIP, CoOp and CoCoOp compute what the original programs compute."""

import original_keys as keys
import pytest
import torch
from multimode_ot import build_model
from parity import NAMES, TOLERANCE, assert_parity, random_images, reference, settings
from random_clip import random_clip

V, R = "tiny-vit", "tiny-resnet"
WORDS = "a photo of a"
TEMPLATES = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
]


@pytest.mark.parametrize("shape, words", [(V, ""), (V, WORDS), (V, "a_photo_of_a"), (R, "")])
@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_coop_equals_the_original(shape, words, position):
    n = 4 if words else 5
    assert_parity(
        "CoOp",
        shape,
        keys.context(shape, n),
        {"N_CTX": 5, "CTX_INIT": words, "CLASS_TOKEN_POSITION": position},
        lambda r, *args: r.coop(*args, words.replace("_", " "), position),
    )


@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_coop_with_class_specific_contexts_equals_the_original(position):
    assert_parity(
        "CoOp",
        "tiny-vit",
        keys.context("tiny-vit", len(NAMES), 16),
        {"CSC": True, "CLASS_TOKEN_POSITION": position},
        lambda r, *args: r.coop(*args, position=position),
    )


def test_coop_takes_a_name_that_merges_with_the_full_stop():
    assert_parity(
        "CoOp",
        "tiny-vit",
        keys.context("tiny-vit", 4),
        {"N_CTX": 4, "CLASS_TOKEN_POSITION": "middle"},
        lambda r, *args: r.coop(*args, position="middle"),
        names=["jay (bird)", "cat"],
    )


@pytest.mark.parametrize("shape, words", [(V, ""), (V, WORDS), (R, WORDS)])
def test_cocoop_equals_the_original_one_image_at_a_time(shape, words):
    assert_parity(
        "CoCoOp",
        shape,
        keys.context(shape, 4) | keys.meta_net(shape),
        {"N_CTX": 4, "CTX_INIT": words},
        lambda r, *args: r.cocoop(*args, words),
    )


@pytest.mark.parametrize("method, dataset", [("ZeroshotCLIP", "EuroSAT"), ("ZeroshotCLIP", None)])
@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-resnet"])
def test_zero_shot_has_the_template_of_its_data_set(method, dataset, shape):
    template = "a centered satellite photo of {}." if dataset else "a photo of a {}."
    assert_zero_shot(method, dataset, shape, [template])


@pytest.mark.parametrize(
    "dataset, own",
    [
        ("ImageNet", []),
        ("ImageNetV2", ["a photo of a {}."]),
        ("DescribableTextures", ["{} texture."]),
    ],
)
def test_the_ensemble_is_normalised_averaged_and_normalised(dataset, own):
    for _ in range(2):  # a second model in the process has no more templates than the first
        assert_zero_shot("ZeroshotCLIP2", dataset, "tiny-vit", TEMPLATES + own)


def assert_zero_shot(method, dataset, shape, templates):
    ours = build_model(method, random_clip(shape), NAMES, settings(method))
    ours.dataset = dataset
    slow, images, texts = reference(shape), random_images(shape), []
    for name in NAMES:
        filled = [t.format(name.replace("_", " ")) for t in templates]
        texts.append(torch.stack([slow.fixed_text(t) for t in filled]).mean(0))
    error = (ours(images) - slow.cosine(images, texts)).abs().max().item()
    print(f"parity {method} {shape}: logits {error:.1e}")
    assert error < TOLERANCE
