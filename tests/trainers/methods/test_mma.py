"""MMA computes, learns and starts as its paper's program does."""

from pathlib import Path

import original_keys as keys
import pytest
import torch
from adapted import DTYPES, VIT, assert_parity, assert_steps, beside
from dassl.config import get_cfg_default
from multimode_ot import build_model, extend_cfg
from multimode_ot.config import merge_file
from multimode_ot.training.optimisation import build_optimisation
from parity import NAMES, settings
from random_clip import random_clip
from slow_regularisers import SGD

CONFIGS = Path(__file__).parents[3] / "configs/trainers"


def of_layers(first, last, dtype=torch.float64, share=0.1, words="a photo of a"):
    return beside(
        "MMA",
        keys.adapters(VIT, range(first, last + 1), 8),
        lambda slow, *args: slow.mma(*args, words, share),
        dtype,
        TEXT_CTX_INIT=words,
        ADAPTER_START=first,
        ADAPTER_END=last,
        ADAPTER_DIM=8,
        ADAPTER_SCALE=share,
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("share", [0.1, 0.001])
@pytest.mark.parametrize("first, last", [(1, 3), (2, 2), (3, 3), (0, 0), (0, 2)])
def test_logits_and_gradients_are_the_originals(first, last, share, dtype):
    assert_parity(of_layers(first, last, dtype, share))


@pytest.mark.parametrize("words", ["", "a_picture of"])
def test_other_words_may_stand_before_the_names(words):
    pair = of_layers(1, 2, words=words)
    pair.made = lambda: pair.slow.mma(
        pair.images.double(), NAMES, pair.leaves, words.replace("_", " ")
    )
    assert_parity(pair)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_three_steps_are_the_originals(dtype):
    pair = of_layers(1, 3, dtype, share=0.001)
    optimizer = torch.optim.SGD(pair.parameters.values(), lr=1, momentum=0.9, weight_decay=5e-4)
    assert_steps(pair, optimizer, SGD(), [0.0015, 0.00135676, 0.00098176])


def test_the_published_config_has_the_published_learning_rates():
    cfg = get_cfg_default()
    extend_cfg(cfg)
    merge_file(cfg, str(CONFIGS / "MMA/vit_b16_ep5.yaml"))
    model = of_layers(1, 3).model
    optimizer, schedule = build_optimisation(model, cfg.OPTIM, 5)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    published = [0.0015, 0.00135676, 0.00098176, 0.00051824, 0.00014324]
    assert rates == pytest.approx(published, abs=5e-9)


def test_adapters_learn_as_much_whatever_their_share():
    gradients = []
    for share in (0.1, 1e-5):
        pair = of_layers(3, 3, share=share)
        assert_parity(pair)
        gradients.append(torch.cat([p.grad.flatten() for p in pair.parameters.values()]).norm())
    assert gradients[1] > 0.1 * gradients[0]


def test_weights_start_by_their_number_of_outputs_and_biases_at_zero():
    torch.manual_seed(0)
    node = settings("MMA", ADAPTER_START=1, ADAPTER_END=3)
    model = build_model("MMA", random_clip(VIT), NAMES, node)
    for key, tensor in model.prompt_learner.named_parameters():
        if key.endswith("bias"):
            assert not tensor.any()
        else:
            assert tensor.std().item() == pytest.approx((2 / len(tensor)) ** 0.5, rel=0.1), key


def test_the_published_shape_has_as_many_parameters_as_the_original():
    shapes = keys.adapters("ViT-B/16", range(5, 13), 32)
    assert sum(torch.Size(size).numel() for size in shapes.values()) == 674_560


@pytest.mark.parametrize(
    "changes, shape, words",
    [
        ({"ADAPTER_END": 4}, VIT, "ADAPTER_END 4: must be at most 3: CLIP has so many visual"),
        ({"ADAPTER_END": 5}, VIT, "ADAPTER_END 5: must be at most 4: CLIP has so many text"),
        ({"ADAPTER_START": 3}, VIT, "ADAPTER_START 3: must be at most 2: that is ADAPTER_END"),
        ({"ADAPTER_DIM": 65}, VIT, "ADAPTER_DIM 65: must be at most 64: the narrower tower"),
        ({"ADAPTER_SCALE": 0.0}, VIT, "ADAPTER_SCALE 0.0: must be more than 0"),
        ({}, "tiny-resnet", "ADAPTER_END 2: CLIP is a ResNet"),
    ],
)
def test_what_does_not_fit_is_refused(changes, shape, words):
    node = settings("MMA", **{"ADAPTER_START": 1, "ADAPTER_END": 2} | changes)
    with pytest.raises(ValueError, match=f"^TRAINER.MMA.{words}"):
        build_model("MMA", random_clip(shape), NAMES, node)


def test_a_middle_layer_as_wide_as_a_tower_is_taken():
    node = settings("MMA", ADAPTER_START=1, ADAPTER_END=2, ADAPTER_DIM=64)
    model = build_model("MMA", random_clip(VIT), NAMES, node)
    assert model.prompt_learner.text_adapter["1"].down[0].weight.shape == (64, 64)
