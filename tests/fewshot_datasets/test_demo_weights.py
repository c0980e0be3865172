"""The demo's backbone: a plain OpenAI state dict that is worth tuning on the digit scans."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fewshot_datasets.demo import clip_weights
from fewshot_datasets.digits import CLASSNAMES, Digits, load_scans
from PIL import Image
from torchvision.transforms import functional as tv

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip's use of pkg_resources
    import clip
    from clip.model import build_model

# CLIP's pixel statistics: those of every trainer config.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
BOUNDS = (0.7, 0.9)  # of zero-shot accuracy in each half


@pytest.fixture(scope="module")
def state_dict() -> dict[str, torch.Tensor]:
    with gzip.open(clip_weights()) as stream:
        return torch.load(io.BytesIO(stream.read()), weights_only=True)


@pytest.fixture(scope="module")
def model(state_dict) -> torch.nn.Module:
    """As `clip` builds it, in single precision."""
    model = build_model(dict(state_dict)).float()
    assert model.state_dict().keys() == state_dict.keys()
    return model.eval()


@pytest.fixture(scope="module")
def test_split() -> tuple[torch.Tensor, torch.Tensor]:
    """The scans of the test split as the trainers' test transform shows them, and labels."""
    scans, _ = load_scans()
    records = Digits.build_split(Path()).test
    images = [Image.fromarray(scans[int(Path(r.path).stem)]).convert("RGB") for r in records]
    images = [tv.to_tensor(tv.resize(i, [32, 32], tv.InterpolationMode.BICUBIC)) for i in images]
    return tv.normalize(torch.stack(images), MEAN, STD), torch.tensor([r.label for r in records])


def zero_shot(model: torch.nn.Module, images: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """Predicted position in `names` of each image."""
    with torch.no_grad():
        logits, _ = model(images, clip.tokenize([f"a photo of a {name}." for name in names]))
    return logits.argmax(1)


def test_the_file_is_small_enough_to_be_committed():
    assert clip_weights().stat().st_size <= 6_000_000


def test_the_state_dict_has_the_shapes_of_a_vit_with_an_8_by_8_grid(state_dict):
    assert state_dict["visual.conv1.weight"].shape == (128, 3, 4, 4)
    assert state_dict["visual.positional_embedding"].shape == (1 + 8 * 8, 128)
    assert state_dict["token_embedding.weight"].shape == (49408, 128)
    assert state_dict["positional_embedding"].shape == (77, 128)
    assert state_dict["logit_scale"].exp() <= 100.1


def test_every_weight_is_finite(state_dict):
    assert all(tensor.isfinite().all() for tensor in state_dict.values())


@pytest.mark.parametrize("half", ["base", "new"])
def test_zero_shot_is_well_above_chance_and_leaves_room_to_learn(model, test_split, half):
    images, labels = test_split
    first = 0 if half == "base" else 5
    chosen = (labels >= first) & (labels < first + 5)
    predicted = zero_shot(model, images[chosen], CLASSNAMES[first : first + 5]) + first
    accuracy = (predicted == labels[chosen]).float().mean().item()
    # Chance is 0.2. The measured values are in the README beside the weights.
    assert BOUNDS[0] < accuracy < BOUNDS[1]


def test_every_class_name_has_features_of_its_own(model):
    with torch.no_grad():
        features = model.encode_text(clip.tokenize([f"a photo of a {n}." for n in CLASSNAMES]))
    features = F.normalize(features, dim=1)
    assert (features @ features.T - torch.eye(10)).max() < 0.9


def test_local_tokens_differ_within_an_image(model, test_split):
    """Token-level alignment needs patch tokens that say different things."""
    tokens = []
    handle = model.visual.transformer.register_forward_hook(lambda _m, _i, out: tokens.append(out))
    with torch.no_grad():
        model.encode_image(test_split[0][:4])
    handle.remove()
    patches = F.normalize(tokens[0][1:].transpose(0, 1), dim=2)  # (B, 64, d)
    similarity = patches @ patches.transpose(1, 2)
    assert np.all(similarity.mean((1, 2)).numpy() < 0.95)
