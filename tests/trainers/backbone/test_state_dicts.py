"""Mappings of tensors that look like a CLIP's: they are it to the last number, or are refused."""

import pytest
import torch
from multimode_ot import load_clip
from random_clip import package_model, random_state

TOLD = {"activation": "quick_gelu", "head_width": 64}
MATRIX, VECTOR = "visual.transformer.resblocks.1.mlp.c_fc.weight", "ln_final.bias"


@pytest.fixture(scope="module")
def state():
    return random_state("tiny-vit")


def refusal(state) -> str:
    with pytest.raises(ValueError) as caught:
        load_clip(state, **TOLD)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


OTHER_TENSORS = {
    "whole numbers": (lambda v: v.to(torch.int8), "torch.int8, and floating-point"),
    "truth values": (lambda v: v.bool(), "torch.bool, and floating-point"),
    "complex": (lambda v: v.to(torch.complex64), "torch.complex64, and floating-point"),
    "without data": (lambda v: v.to("meta"), "without data"),
    "sparse": (lambda v: v.to_sparse(), "sparse"),
    "not a number": (lambda v: torch.full_like(v, float("nan")), "not finite"),
    "infinite in half": (lambda v: v.half() / 0, "not finite"),
    "infinite in float32": (lambda v: v.double() + 1e300, "not finite"),
    "empty": (lambda v: v[:0], "is (0"),
    "of another size": (lambda v: v[:3], "is (3"),
}


@pytest.mark.parametrize("key", [MATRIX, VECTOR])
@pytest.mark.parametrize("kind", OTHER_TENSORS)
def test_a_tensor_of_another_kind_is_refused_by_its_key(state, kind, key):
    change, said = OTHER_TENSORS[kind]
    message = refusal(state | {key: change(state[key])})
    assert message.startswith("CLIP is not a CLIP state dict: ") and key in message
    assert said in message


def test_so_are_a_resnets_statistics_without_data():
    state, key = random_state("tiny-resnet"), "visual.bn1.running_mean"
    assert key in refusal(state | {key: state[key].to("meta")})


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("first", [True, False])
def test_averaged_copies_beside_the_weights_are_not_taken_for_them(state, prefix, first):
    copies = {f"{prefix}{key}": value + 1 for key, value in state.items()}
    mixed = copies | state if first else state | copies
    assert "two tensors for" in refusal(mixed)


def test_two_projections_of_texts_are_refused(state):
    other = {"text_projection.weight": torch.zeros(48, 64)}
    assert "two projections" in refusal(state | other)


@pytest.mark.parametrize("as_module", [True, False])
def test_what_is_trained_afterwards_stays_out_of_it(as_module):
    model = package_model("tiny-vit")
    clip = load_clip(model) if as_module else load_clip(model.state_dict(), **TOLD)
    before = clip.identity()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert clip.identity() == before
