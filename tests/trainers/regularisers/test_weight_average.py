"""The Gaussian average of weights over epochs, as a part by itself."""

import copy

import pytest
import torch
from multimode_ot import build_model
from multimode_ot.regularisers.weight_average import gaussian_weights
from parity import settings
from random_clip import random_clip
from slow_methods import NAMES
from slow_regularisers import gaussian_weights as slow_weights

PART = "weight_average"
TRAINED = ("CoOp", "CoCoOp", "MaPLe", "IVLP", "VPT", "PLOT", "MultiModeOT")


@pytest.mark.parametrize(
    ("epochs", "mean", "std", "published"),
    [
        (20, 15, 1, {15: 0.399, 14: 0.242, 16: 0.242, 13: 0.054, 17: 0.054, 12: 0.004, 18: 0.004}),
        (20, 6, 10, {6: 0.063, 1: 0.055, 20: 0.024}),
        (50, 30, 30, {1: 0.014, 30: 0.023}),
        (50, 45, 5, {45: 0.092, 40: 0.056, 50: 0.056, 35: 0.013}),
    ],
)
def test_the_weights_are_those_of_the_published_settings(epochs, mean, std, published):
    weights = gaussian_weights(epochs, mean, std)
    assert {epoch: weights[epoch - 1] for epoch in published} == pytest.approx(published, abs=6e-4)
    assert weights == pytest.approx(slow_weights(epochs, mean, std), rel=1e-12)
    assert sum(weights) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("mean", "largest"), [(1000, 20), (-1000, 1)])
def test_a_mean_far_from_all_epochs_leaves_the_nearest(mean, largest):
    weights = gaussian_weights(20, mean, 0.01)
    assert weights[largest - 1] == 1 and sum(weights) == 1


def model_with_average(method="MultiModeOT", mean=3.0, std=2.0):
    torch.manual_seed(0)
    depths = {k: 2 for k in settings(method) if "PROMPT_DEPTH" in k}
    node = settings(method, REGULARISERS=(PART,), **depths)
    node.WEIGHT_AVERAGE.update(MEAN=mean, STD=std)
    return build_model(method, random_clip("tiny-vit"), NAMES, node)


def live_through(model, epochs, first=1, last=None):
    """Random prompts in each epoch, recorded."""
    part, recorded = model.regularisers[PART], []
    for epoch in range(first, (last or epochs) + 1):
        generator = torch.Generator().manual_seed(epoch)
        for value in model.prompt_learner.parameters():
            value.data = torch.randn(value.shape, generator=generator)
        recorded.append(copy.deepcopy(dict(model.prompt_learner.named_parameters())))
        part.epoch_ended(model, epoch, epochs)
        for key, value in model.prompt_learner.named_parameters():
            assert torch.equal(value, recorded[-1][key])  # training goes on from its own
    return recorded


@pytest.mark.parametrize("epochs", [1, 2, 7])
@pytest.mark.parametrize("method", TRAINED)
def test_the_average_is_the_plain_sum_over_epochs_of_every_tensor(method, epochs):
    model = model_with_average(method)
    recorded = live_through(model, epochs)
    model.regularisers[PART].training_ended(model)
    weights = slow_weights(epochs, 3, 2)
    for key, value in model.prompt_learner.named_parameters():
        expected = sum(w * one[key].double() for w, one in zip(weights, recorded, strict=True))
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_it_goes_on_from_its_state_to_the_bit(stop):
    whole, part = model_with_average(), model_with_average()
    live_through(whole, 7)
    live_through(part, 7, last=stop)
    state = part.regularisers[PART].state_dict()
    before = copy.deepcopy(state)
    live_through(part, 7, first=stop + 1)  # what was saved is not what goes on
    assert all(torch.equal(state["sum"][k], before["sum"][k]) for k in before["sum"])

    again = model_with_average()
    again.regularisers[PART].load_state_dict(state)
    again.regularisers[PART].training_starts(again, stop)
    live_through(again, 7, first=stop + 1)
    for model in (whole, part, again):
        model.regularisers[PART].training_ended(model)
    for key, value in whole.prompt_learner.named_parameters():
        assert torch.equal(value, part.prompt_learner.get_parameter(key))
        assert torch.equal(value, again.prompt_learner.get_parameter(key))


def test_the_state_is_tensors_and_plain_data(tmp_path):
    model = model_with_average()
    live_through(model, 3, last=2)
    torch.save(model.regularisers[PART].state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["epochs"] == 2
    assert state["sum"].keys() == dict(model.prompt_learner.named_parameters()).keys()
    assert all(value.dtype == torch.float32 for value in state["sum"].values())


def test_a_new_training_needs_no_state_and_one_that_goes_on_its_own():
    model = model_with_average()
    model.regularisers[PART].training_starts(model, 0)
    with pytest.raises(ValueError, match=r"epoch 2 holds the average of 0 epochs.*start anew"):
        model.regularisers[PART].training_starts(model, 2)
