"""TaskRes, CLIP-Adapter, Tip-Adapter and Tip-Adapter-F compute what the original programs do."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from dassl.config import get_cfg_default
from multimode_ot import build_model
from multimode_ot.methods.tip_cache import SCALES
from multimode_ot.training.optimisation import build_optimisation
from multimode_ot.training.step import training_step
from parity import NAMES, random_images, settings
from random_clip import SHAPES, random_clip
from slow_adapters import adam, cosine, sgd, slow_adapters, tip_grid, tip_search

V, R = "tiny-vit", "tiny-resnet"
PLAIN = ("a photo of a {}.",)
SEVEN = (
    "itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.",
    "a {} in a video game.", "art of the {}.", "a photo of the small {}.",
)  # fmt: skip
STEPS, WIDTH = 3, 48


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def residuals():
    return {"text_feature_residuals": random(len(NAMES), WIDTH, scale=0.1)}


def bottleneck(narrow):
    return {
        "fc.0.weight": random(narrow, WIDTH, scale=0.3),
        "fc.2.weight": random(WIDTH, narrow, seed=1, scale=0.3),
    }


def cache(alpha=1.0, beta=1.0):
    return {
        "cache_keys": F.normalize(random(7, WIDTH), dim=-1),
        "labels": torch.tensor([2, 0, 1, 1, 0, 2, 2]),
        "alpha": torch.tensor(alpha),
        "beta": torch.tensor(beta),
    }


@dataclass
class Case:
    """A method's state, the name and arguments of its slow forward, and its optimiser's update."""

    method: str
    state: dict
    slow: str
    given: tuple
    trained: tuple = ()
    settings: dict = field(default_factory=dict)
    dataset: str = "Caltech101"
    shape: str = V
    update: Any = None
    optim: dict = field(default_factory=dict)


ADAM = {
    "update": lambda *a, step: adam(*a, rate=0.002, decay=5e-4),
    "optim": {"NAME": "adam", "LR": 0.002, "WEIGHT_DECAY": 5e-4},
    "trained": ("text_feature_residuals",),
}
SGD = {
    "update": lambda *a, step: sgd(*a, rate=0.01),
    "optim": {"NAME": "sgd", "LR": 0.01, "WEIGHT_DECAY": 5e-4, "MOMENTUM": 0.9},
    "trained": ("fc.0.weight", "fc.2.weight"),
}
ADAMW = {
    "update": lambda *a, step: adam(
        *a, rate=cosine(0.001, step, STEPS), decay=0.01, eps=1e-4, coupled=False
    ),
    "optim": {"NAME": "adamw", "LR": 0.001, "WEIGHT_DECAY": 0.01},
    "trained": ("cache_keys",),
}
RAW = {"CLASS_NAMES": "raw"}
PETS = ("a photo of a {}, a type of pet.",)
CASES = {
    "TaskRes": Case(
        "TaskRes", residuals(), "taskres", (PLAIN, 0.5),
        settings={**RAW, "RESIDUAL_SCALE": 0.5}, **ADAM,
    ),
    "TaskRes, ImageNet's eight": Case(
        "TaskRes", residuals(), "taskres", ((*SEVEN, *PLAIN), 1.0), settings=RAW,
        dataset="ImageNet", shape=R, **ADAM,
    ),
    "TaskRes, enhanced": Case("TaskRes", residuals(), "taskres", (PETS, 1.0), settings=RAW,
                              dataset="OxfordPets", **ADAM),
    "CLIPAdapter": Case("CLIPAdapter", bottleneck(12), "clip_adapter", (PLAIN, 0.2), **SGD),
    "CLIPAdapter on a ResNet": Case(
        "CLIPAdapter", bottleneck(6), "clip_adapter", (PETS, 0.7), dataset="OxfordPets", shape=R,
        settings={"RATIO": 0.7, "REDUCTION": 8}, **SGD,
    ),
    "TipAdapter": Case("TipAdapter", cache(3.0, 5.5), "tip", (PLAIN,)),
    "TipAdapter, ImageNet's seven": Case(
        "TipAdapter", cache(), "tip", (SEVEN,), dataset="ImageNet", shape=R
    ),
    "TipAdapterF": Case("TipAdapterF", cache(), "tip", (PLAIN,), **ADAMW),
    "TipAdapterF, ImageNet's seven": Case(
        "TipAdapterF", cache(1.17, 2.0), "tip", (SEVEN,), dataset="ImageNet", shape=R, **ADAMW
    ),
}  # fmt: skip


def enhanced(path):
    weight = random(WIDTH, 64, seed=5, scale=0.1)
    torch.save({"state_dict": {"weight": weight}, "epoch": 3}, path)
    return weight


def built(case, **more):
    node = settings(case.method, **(case.settings | more))
    model = build_model(case.method, random_clip(case.shape), NAMES, node, dataset=case.dataset)
    report = model.load_prompts(case.state)
    assert report.used == tuple(case.state) and not report.missed and not report.unexpected
    return model


@pytest.mark.parametrize("name", CASES)
def test_logits_loss_gradients_and_three_steps_are_the_originals(name, tmp_path):
    case, more, given = CASES[name], {}, CASES[name].given
    if "enhanced" in name:
        more = {"ENHANCED_BASE": str(tmp_path / "base.pth.tar")}
        given = (*given, enhanced(tmp_path / "base.pth.tar"))
    model, slow = built(case, **more).train(), slow_adapters(case.shape)
    images, labels = random_images(case.shape, 5), torch.tensor([0, 1, 2, 0, 1])
    state = {k: v if k == "labels" else v.double() for k, v in case.state.items()}

    logits = model(images)
    expected = getattr(slow, case.slow)(images.double(), NAMES, state, *given)
    gap = (logits - expected).abs().max().item()
    print(f"parity {name}: logits {gap:.1e}")
    assert gap < 1e-5
    if not case.trained:
        assert not list(model.prompt_learner.parameters())
        return
    cfg = get_cfg_default().OPTIM
    cfg.update(**case.optim, MAX_EPOCH=STEPS, LR_SCHEDULER="cosine")
    optimizer, schedule = build_optimisation(model, cfg, STEPS)
    memory: dict = {key: {} for key in case.trained}
    for step in range(STEPS):
        leaves = {k: state[k].clone().requires_grad_() for k in case.trained}
        wanted = getattr(slow, case.slow)(images.double(), NAMES, state | leaves, *given)
        loss = F.cross_entropy(wanted, labels)
        gradients = dict(zip(leaves, torch.autograd.grad(loss, leaves.values()), strict=True))
        summary = training_step(
            model, optimizer, torch.amp.GradScaler(enabled=False), images, labels
        )
        assert summary["loss"] == pytest.approx(loss.item(), rel=1e-5)
        for key, gradient in gradients.items():
            own = model.prompt_learner.get_parameter(key)
            alike = F.cosine_similarity(own.grad.double().flatten(), gradient.flatten(), dim=0)
            assert alike > 0.999999, key
            state[key] = case.update(state[key], gradient, memory[key], step=step)
            gap = ((own.double() - state[key]).norm() / state[key].norm()).item()
            print(f"  step {step + 1}: {key} {gap:.1e}")
            assert gap < 1e-5, key
        if model.steps.by_iteration:
            schedule.step()


@pytest.mark.parametrize("method", ["TipAdapter", "TipAdapterF"])
def test_a_key_is_the_normalised_mean_of_an_images_raw_features(method):
    size = SHAPES[V]["image_resolution"]
    passes = random(4, 6, 3, size, size)
    labels = torch.tensor([0, 0, 2, 1, 2, 1])
    node = settings(method, AUGMENTATIONS=3)
    model = build_model(method, random_clip(V), NAMES, node)
    features = torch.stack([model.image_features(images) for images in passes])
    model.collect(features, labels)
    wanted = slow_adapters(V).keys(passes[:3].double())
    learner = model.prompt_learner
    torch.testing.assert_close(
        learner.cache_keys.double(), wanted, atol=1e-6, rtol=0, check_dtype=False
    )
    assert torch.equal(learner.labels, labels)
    assert (learner.alpha, learner.beta) == (1, 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tune", ["val", "test"])
def test_the_search_finds_what_the_original_does_but_breaks_ties_on_val_otherwise(tune, seed):
    scale, step, slow = (9.0, 40.0), (12, 7), slow_adapters(V)
    node = settings("TipAdapter", TUNE=tune, SEARCH_SCALE=scale, SEARCH_STEP=step)
    model = build_model("TipAdapter", random_clip(V), NAMES, node)
    size = SHAPES[V]["image_resolution"]
    images, labels = random(9, 3, size, size, seed=seed), torch.arange(9) % 3
    shots = images[torch.tensor([3, 1, 5, 0, 4, 8])] + random(6, 3, size, size, seed=9)
    of = {"val": images, "test": images}
    model.encoded = lambda split: (model.image_features(of[split]), labels)
    features, cached = model.image_features(shots)[None], torch.tensor([0, 1, 2, 0, 1, 2])
    model.collect(features, cached)
    model.fit(features, cached)
    points = tip_grid(scale, step)
    assert len(points) == 84 and max(points) < scale
    state = model.prompt_learner.state_dict()
    hits = tip_search(slow, images.double(), labels, NAMES, double(state), PLAIN, points)
    best = [point for point, hit in zip(points, hits, strict=True) if hit == max(hits)]
    assert len(best) > 1 and max(hits) > min(hits), "no tie, or nothing to find"
    wanted = best[0]
    if tune == "val":
        logs = torch.tensor(best).log().abs().sum(1)
        wanted = best[int(logs.argmin())]
    found = (float(state["beta"]), float(state["alpha"]))
    assert found == pytest.approx(wanted)
    shown = [float(f"{value:.7g}") for value in wanted]
    assert model.chosen == {"ALPHA": shown[1], "BETA": shown[0]}, "float32's digits, and no more"


def double(state):
    return {k: v.double() if v.is_floating_point() else v for k, v in state.items()}


def test_without_a_search_the_fixed_values_stay():
    node = settings("TipAdapter", ALPHA=2.5, BETA=4.0)
    model = build_model("TipAdapter", random_clip(V), NAMES, node)
    features, labels = random(1, 6, WIDTH), torch.arange(6) % 3
    model.collect(features, labels)
    model.fit(features, labels)
    assert (model.prompt_learner.alpha, model.prompt_learner.beta) == (2.5, 4.0)
    assert model.chosen == {}


def test_the_searched_ranges_are_the_originals():
    assert SCALES["OxfordFlowers"] == (50, 50) and SCALES["StanfordCars"] == (20, 10)
    assert SCALES["ImageNet"] == (7, 3) and len(SCALES) == 12
    assert settings("TipAdapter").SEARCH_STEP == (200, 20)


def test_trained_keys_are_not_normalised_again():
    model = built(CASES["TipAdapterF"])
    images = random_images(V, 3)
    before = model(images)
    with torch.no_grad():
        model.prompt_learner.cache_keys *= 1.5
    assert (model(images) - before).abs().max() > 0.01
    model.set_classes(NAMES)
    assert not torch.allclose(model.prompt_learner.cache_keys.norm(dim=-1), torch.ones(7))


def test_clip_adapter_takes_unit_features_for_raw_ones():
    """Without biases the bottleneck is positively homogeneous, and the norm stands last."""
    model = built(CASES["CLIPAdapter"])
    features = model.image_features(random_images(V, 4))
    torch.testing.assert_close(model(F.normalize(features, dim=-1)), model(features))
