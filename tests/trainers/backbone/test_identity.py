"""What makes two CLIPs the same: what they compute, whatever they are called and were read from."""

from dataclasses import replace

import pytest
import torch
from multimode_ot import load_clip
from multimode_ot.backbone.architecture import OPENAI, Architecture, Tower
from multimode_ot.backbone.clip import CLIP
from random_clip import package_model, random_clip, random_state

# As runs, checkpoints and saved classifiers have recorded it since there are any.
DEMO = "3504f8f1ba085af804753b6851b3d48f2866e1395d9670b63b41c4e2923deb77"


def identity(shape="tiny-vit", vision=OPENAI, text=OPENAI, state=None, name="CLIP"):
    state = random_state(shape) if state is None else state
    return CLIP(state, Architecture(vision, text), name).identity()


def test_the_demos_is_the_one_of_older_records():
    assert load_clip("demo-vit").identity() == DEMO


@pytest.mark.parametrize("shape", ["tiny-vit", "tiny-exact", "tiny-mixed", "tiny-exact-resnet"])
def test_the_format_and_the_name_do_not_matter(shape, tmp_path):
    clip = random_clip(shape)
    ran_by = clip.architecture
    told = {
        "activation": [ran_by.vision.activation, ran_by.text.activation],
        "head_width": [ran_by.vision.head_width, ran_by.text.head_width],
    }
    state = {f"module.{k}": v for k, v in reversed(random_state(shape).items())}
    torch.save({"state_dict": state}, tmp_path / "other.pt")
    found = load_clip(package_model(shape)).identity()
    assert found == clip.identity() and len(found) == 64
    if ran_by.vision.eps == ran_by.text.eps:  # which bare tensors have none of
        assert load_clip(tmp_path / "other.pt", **told).identity() == found


@pytest.mark.parametrize("tower", ["vision", "text"])
@pytest.mark.parametrize(
    "other",
    [{"activation": "gelu"}, {"activation": "gelu_tanh"}, {"head_width": 32}, {"eps": 1e-6}],
)
def test_either_towers_activation_heads_and_epsilon_matter(tower, other):
    assert identity(**{tower: replace(OPENAI, **other)}) != identity()


def test_what_the_towers_exchange_matters():
    one, other = Tower("gelu", 64, 1e-6), Tower("gelu_tanh", 32)
    assert identity(vision=one, text=other) != identity(vision=other, text=one)


def test_of_a_resnet_the_heads_and_the_text_towers_parts_matter():
    alike = identity("tiny-resnet")
    for other in ({"activation": "gelu"}, {"eps": 1e-6}, {"head_width": 32}):
        assert identity("tiny-resnet", text=replace(OPENAI, **other)) != alike
    assert identity("tiny-resnet", vision=replace(OPENAI, head_width=32)) != alike


def test_every_number_of_every_tensor_matters():
    state = random_state("tiny-vit")
    alike = identity()
    for key, value in state.items():
        changed = value.clone()
        changed.view(-1)[-1] += 1
        assert identity(state=state | {key: changed}) != alike, key
