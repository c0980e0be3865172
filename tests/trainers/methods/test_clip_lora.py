"""CLIP-LoRA computes, learns and starts as its paper's program does, whose files it takes."""

import math

import original_keys as keys
import pytest
import torch
from adapted import DTYPES, VIT, assert_parity, assert_steps, beside
from multimode_ot import build_model
from multimode_ot.backbone import low_rank, packed_text
from multimode_ot.backbone.checkpoint_files import read_checkpoint
from multimode_ot.methods.clip_lora import POSITIONS, blocks_at
from parity import NAMES, random_images, settings
from random_clip import random_clip
from slow_in_blocks import AdamW

QKV = ["q_proj", "k_proj", "v_proj"]
ALL = {"": range(4), "visual.": range(3)}


def updated(dtype=torch.float64, blocks=None, names=QKV, rank=2, alpha=1.0, **changes):
    changes.setdefault("DROPOUT", 0.0)
    return beside(
        "CLIPLoRA",
        keys.low_rank(VIT, blocks or ALL, names, rank),
        lambda slow, *args: slow.clip_lora(*args, alpha / math.sqrt(rank)),
        dtype,
        RANK=rank,
        ALPHA=alpha,
        **changes,
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "blocks, names, changes",
    [
        (ALL, QKV, {}),
        (ALL, ["proj"], {"PARAMS": ("o",)}),
        (ALL, ["q_proj", "v_proj", "proj"], {"PARAMS": ("v", "o", "q"), "rank": 3, "alpha": 2.0}),
        ({"": range(4)}, QKV, {"ENCODER": "text"}),
        ({"visual.": range(3)}, ["k_proj"], {"ENCODER": "vision", "PARAMS": ("k",)}),
        ({"": range(4), "visual.": range(3)}, QKV, {"POSITION": "half-bottom"}),
    ],
)
def test_logits_and_gradients_are_the_formulas(blocks, names, changes, dtype):
    """The gradient is whole without dropout too, where the original loses a part of it."""
    assert_parity(updated(dtype, blocks, names, **changes))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dropout_is_of_the_updates_inputs_alone(dtype, monkeypatch):
    draw = torch.Generator().manual_seed(3)
    kept = {p: torch.rand(128, generator=draw) < 0.75 for p in "qkvo"}

    def drawn(shape, dropout, device):
        assert dropout == 0.25
        rows = torch.stack([kept[p][: shape[-1]] for p in ("qkv" if shape[0] == 3 else "o")])
        return rows.unsqueeze(1).expand(shape), 1 - dropout

    monkeypatch.setattr(low_rank, "draw_kept", drawn)
    pair = updated(dtype, names=[*QKV, "proj"], PARAMS=("q", "k", "v", "o"), DROPOUT=0.25)
    pair.made = lambda: pair.slow.clip_lora(
        pair.images.double(), NAMES, pair.leaves, 1 / math.sqrt(2), kept, 0.25
    )
    assert_parity(pair)


def test_an_evaluation_drops_nothing():
    whole, dropping = updated(), updated(DROPOUT=0.9)
    with torch.no_grad():
        dropped = dropping.model(dropping.images)
        assert torch.equal(whole.model(whole.images), dropping.model.eval()(dropping.images))
    assert not torch.equal(whole.model(whole.images), dropped)


def test_what_runs_again_in_the_backward_pass_drops_the_same(monkeypatch):
    pair = updated(DROPOUT=0.5, MEMORY_MB=1)
    monkeypatch.setattr(packed_text, "ADDED_WIDTHS", 2**20)  # a class at a time
    results = []
    for run in (packed_text.run_again, lambda function, *a, **_: function(*a)):
        monkeypatch.setattr(packed_text, "run_again", run)
        pair.model.zero_grad()
        torch.manual_seed(5)
        features = pair.model.class_features()
        features.square().mul(torch.arange(48)).sum().backward()
        gradients = [p.grad for key, p in pair.parameters.items() if "visual" not in key]
        results.append([features.detach(), *(g.clone() for g in gradients)])
    for again, once in zip(*results, strict=True):
        torch.testing.assert_close(again, once, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_three_steps_of_adamw_are_those_of_its_formula(dtype):
    pair = updated(dtype)
    optimizer = torch.optim.AdamW(pair.parameters.values(), lr=1, weight_decay=0.01)
    assert_steps(pair, optimizer, AdamW(), [2e-4, 1.5e-4, 1e-6])


def test_it_starts_as_clip_with_random_inputs_and_nothing_behind_them():
    model = build_model("CLIPLoRA", random_clip(VIT), NAMES, settings("CLIPLoRA"))
    zero_shot = build_model("ZeroshotCLIP", random_clip(VIT), NAMES)
    images = random_images(VIT)
    torch.testing.assert_close(model(images), zero_shot(images), atol=1e-5, rtol=0)
    for key, tensor in model.prompt_learner.named_parameters():
        bound = max(tensor.shape) ** -0.5
        assert tensor.any() == key.endswith("A") and tensor.abs().max() <= bound
        if key.endswith("A"):
            assert tensor.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)


def test_the_published_shape_has_as_many_parameters_as_the_original():
    shapes = keys.low_rank("ViT-B/16", {"": range(12), "visual.": range(12)}, QKV, 2)
    assert sum(torch.Size(size).numel() for size in shapes.values()) == 184_320


def test_positions_are_the_originals():
    twelve = {"all": (0, 11), "bottom": (0, 3), "mid": (4, 7), "up": (8, 11), "top3": (9, 11)}
    twelve |= {"half-bottom": (0, 5), "half-up": (6, 11)}
    assert {p: (b[0], b[-1]) for p in POSITIONS if (b := blocks_at(p, 12))} == twelve
    deeper = {"all": (0, 23), "half-bottom": (0, 11), "half-up": (12, 23)}
    assert {p: (b[0], b[-1]) for p in POSITIONS if (b := blocks_at(p, 24))} == deeper


@pytest.mark.parametrize(
    "changes, shape, words",
    [
        ({"RANK": 65}, VIT, "RANK 65: must be at most 64: the text tower"),
        ({"RANK": 0}, VIT, "RANK 0: must be at least 1"),
        ({"DROPOUT": 1.0}, VIT, "DROPOUT 1.0: must be less than 1"),
        ({"DROPOUT": -0.1}, VIT, "DROPOUT -0.1: must be at least 0"),
        ({"ALPHA": 0.0}, VIT, "ALPHA 0.0: must be more than 0"),
        ({"PARAMS": ("q", "w")}, VIT, r"PARAMS \('q', 'w'\): must be a list of some of q, k, v, o"),
        ({"PARAMS": ()}, VIT, r"PARAMS \(\): must be a list"),
        ({"PARAMS": ("q", "q")}, VIT, "PARAMS .*: must be a list"),
        ({"POSITION": "up"}, VIT, "POSITION 'up': the text tower of CLIP has 4 blocks"),
        ({"POSITION": "top"}, VIT, "POSITION 'top' is unknown: did you mean top3"),
        ({"ENCODER": "image"}, VIT, "ENCODER 'image' is unknown"),
        ({}, "tiny-resnet", "ENCODER 'both': CLIP is a ResNet, of which only 'text'"),
    ],
)
def test_what_does_not_fit_is_refused(changes, shape, words):
    node = settings("CLIPLoRA", **changes)
    with pytest.raises(ValueError, match=f"^TRAINER.CLIPLORA.{words}"):
        build_model("CLIPLoRA", random_clip(shape), NAMES, node)


def test_the_text_tower_of_a_resnet_is_updated():
    node = settings("CLIPLoRA", ENCODER="text")
    model = build_model("CLIPLoRA", random_clip("tiny-resnet"), NAMES, node)
    model(random_images("tiny-resnet")).sum().backward()
    assert all(p.grad is not None for p in model.prompt_learner.parameters())


METADATA = {"r": 2, "alpha": 1, "encoder": "both", "params": ["q", "k", "v"], "position": "all"}


def original_file(state, names=QKV):
    """The weights of a file: the text tower's layers first."""
    layers = [f"transformer.resblocks.{i}" for i in range(4)]
    layers += [f"visual.transformer.resblocks.{i}" for i in range(3)]
    return {
        f"layer_{number}": {
            name: {f"w_lora_{ab}": state[f"{layer}.attn.{name}.w_lora_{ab}"] for ab in ("A", "B")}
            for name in names
        }
        for number, layer in enumerate(layers)
    }


def test_a_file_of_the_original_loads(tmp_path):
    state = keys.random_prompts(keys.low_rank(VIT, ALL, QKV, 2))
    torch.save(
        {"weights": original_file(state), "metadata": METADATA}, tmp_path / "lora_weights.pt"
    )
    model = build_model("CLIPLoRA", random_clip(VIT), NAMES, settings("CLIPLoRA"))
    content = read_checkpoint(tmp_path / "lora_weights.pt")["state_dict"]
    report = model.load_prompts(content)
    assert set(report.used) == set(state) and not report.missed and not report.unexpected
    for key, value in model.prompt_learner.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"r": 4}, "metadata r is 4, but TRAINER.CLIPLORA.RANK is 2"),
        ({"alpha": 2}, "metadata alpha is 2, but TRAINER.CLIPLORA.ALPHA is 1"),
        ({"encoder": "text"}, "metadata encoder is 'text', but .*ENCODER is 'both'"),
        ({"params": ["q"]}, r"metadata params is \['q'\], but .*PARAMS is \('q', 'k', 'v'\)"),
        ({"position": "up"}, "metadata position is 'up', but .*POSITION is 'all'"),
        ({"position": None}, "metadata position is None"),
    ],
)
def test_a_file_of_other_settings_is_refused_by_the_first_that_differs(change, words):
    model = build_model("CLIPLoRA", random_clip(VIT), NAMES, settings("CLIPLoRA"))
    weights = original_file(model.prompt_learner.state_dict())
    with pytest.raises(ValueError, match=f"{words}.*: use"):
        model.load_prompts({"weights": weights, "metadata": METADATA | change})


def test_what_a_file_lacks_or_has_besides_is_reported():
    model = build_model("CLIPLoRA", random_clip(VIT), NAMES, settings("CLIPLoRA"))
    weights = original_file(model.prompt_learner.state_dict())
    weights["layer_7"] = weights.pop("layer_1")
    report = model.load_prompts({"weights": weights, "metadata": METADATA})
    assert len(report.missed) == len(report.unexpected) == 6
    assert "weights.layer_7.q_proj.w_lora_A" in report.unexpected
    assert "transformer.resblocks.1.attn.q_proj.w_lora_A" in report.missed
