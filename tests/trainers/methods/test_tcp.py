"""TCP computes and learns as its paper's program does, with the templates of each data set."""

from pathlib import Path

import original_keys as keys
import pytest
import torch
import torch.nn.functional as F
from adapted import DTYPES, VIT, assert_parity, assert_steps, beside
from dassl.config import get_cfg_default
from multimode_ot import build_model, extend_cfg
from multimode_ot.config import merge_file
from multimode_ot.regularisers import Seen
from multimode_ot.training.optimisation import build_optimisation
from parity import NAMES, settings
from random_clip import random_clip, random_state
from slow_in_blocks import AdamW

CONFIG = Path(__file__).parents[3] / "configs/trainers/TCP/vit_b16_ep50.yaml"
# Data set, prompt and teacher.
TEXTS = [
    (None, "X X X X {}.", "a photo of a {}."),
    ("EuroSAT", "X X X X {}.", "a centered satellite photo of {}."),
    ("OxfordPets", "X X X X {}, a type of pet.", "a photo of a {}, a type of pet."),
    ("StanfordCars", "X X X X {}, a type of car", "a photo of a {}."),
    ("DescribableTextures", "X X X X {} texture.", "a photo of a {}, a type of texture."),
    ("FGVCAircraft", "X X X X {}, a type of aircraft.", "a photo of an aircraft {}."),
    ("Food101", "X X X X {}, a type of food.", "a photo of a {}, a type of food."),
    ("UCF101", "a photo of a person doing {}.", "a photo of a person doing {}."),
    ("ImageNetSketch", "a photo of a {}.", "a photo of a {}."),
]


def class_aware(dtype, text=TEXTS[0], block=2, weight=1.0, w=8.0, shape=VIT):
    """The pair, and its slow loss."""
    dataset, prompt, teacher = text
    pair = beside(
        "TCP",
        keys.tcp(shape),
        lambda slow, *args: slow.tcp(*args, prompt, teacher, block, weight),
        dtype,
        dataset,
        shape,
        CLASS_TOKEN_BLOCK=block,
        CLASS_TOKEN_WEIGHT=weight,
        W=w,
    )
    both = pair.made

    def made():
        found, pair.frozen = both()
        return found

    def loss(found):
        cosines = [h @ h0 for h, h0 in zip(found.texts[0], pair.frozen, strict=True)]
        gap = 1 - sum(cosines) / len(cosines)
        return F.cross_entropy(found.logits, pair.labels) + w * gap

    pair.made = made
    return pair, loss


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text[0]))
def test_logits_loss_and_gradients_are_the_originals(text, dtype):
    assert_parity(*class_aware(dtype, text))


@pytest.mark.parametrize("block, weight, w", [(1, 1.0, 8.0), (3, 0.5, 8.0), (2, 2.0, 0.0)])
def test_block_and_weights_are_settings(block, weight, w):
    assert_parity(*class_aware(torch.float64, block=block, weight=weight, w=w))


def test_a_tower_that_is_too_short_gets_no_class_tokens():
    pair, loss = class_aware(torch.float64, block=8)
    assert_parity(pair, loss)
    assert all(p.grad is None for p in pair.model.prompt_learner.meta_net.parameters())


def test_it_is_the_same_on_a_resnet():
    assert_parity(*class_aware(torch.float64, shape="tiny-resnet"))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_three_steps_of_adam_have_a_coupled_decay_and_a_large_epsilon(dtype):
    pair, loss = class_aware(dtype)
    cfg = get_cfg_default()
    extend_cfg(cfg)
    merge_file(cfg, str(CONFIG))
    optimizer, _ = build_optimisation(pair.model, cfg.OPTIM, 3)
    assert type(optimizer) is torch.optim.Adam
    slow = AdamW(decay=5e-4, eps=1e-3, decoupled=False)
    assert_steps(pair, optimizer, slow, [1e-5, 2e-3, 1.9e-3], loss)


def test_the_terms_of_the_loss_are_named():
    pair, loss = class_aware(torch.float64)
    seen = Seen(pair.model, pair.images, pair.labels, *pair.model.see(pair.images))
    terms = pair.model.loss_terms(seen)
    assert list(terms) == ["cross_entropy", "class_consistency"]
    assert sum(terms.values()).item() == pytest.approx(loss(pair.made()).item(), rel=1e-7)


def test_prompts_run_in_chunks_with_the_tokens_of_their_classes(monkeypatch):
    pair, _ = class_aware(torch.float64)
    whole = pair.model.class_features()
    whole.sum().backward()
    wanted = [p.grad.clone() for p in pair.parameters.values()]
    pair.model.zero_grad()
    monkeypatch.setattr(type(pair.model), "memory", 1)  # a class at a time
    chunked = pair.model.class_features()
    chunked.sum().backward()
    torch.testing.assert_close(chunked, whole, atol=1e-10, rtol=0)
    for own, expected in zip(pair.parameters.values(), wanted, strict=True):
        torch.testing.assert_close(own.grad, expected, atol=1e-9, rtol=1e-9)


def test_the_published_shape_has_as_many_parameters_as_the_original():
    assert sum(torch.Size(size).numel() for size in keys.tcp("ViT-B/16").values()) == 331_904


@pytest.mark.parametrize("words, start", [("a photo of a", True), ("", False)])
def test_the_context_starts_with_words_or_at_random(words, start):
    model = build_model("TCP", random_clip(VIT), NAMES, settings("TCP", CTX_INIT=words))
    embedded = random_state(VIT)["token_embedding.weight"]
    assert bool((model.prompt_learner.ctx[0] == embedded).all(1).any()) == start


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"N_CTX": 16}, "N_CTX 16: must be 4: the prompts"),
        (
            {"CTX_INIT": "a picture of a"},
            "CTX_INIT 'a picture of a': must be 'a photo of a', or ''",
        ),
        ({"W": -1.0}, "W -1.0: must be at least 0"),
        ({"CLASS_TOKEN_WEIGHT": 0.0}, "CLASS_TOKEN_WEIGHT 0.0: must be more than 0"),
        ({"CLASS_TOKEN_BLOCK": 0}, "CLASS_TOKEN_BLOCK 0: must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=f"^TRAINER.TCP.{words}"):
        build_model("TCP", random_clip(VIT), NAMES, settings("TCP", **changes))
