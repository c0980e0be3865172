"""What the benchmarks run on: random CLIP weights of true shape, class names, images.

Speed and memory do not depend on the values of weights; on the lengths of class names they do, so
these are spread like those of the usual data sets: one to nine BPE tokens, 2.4 on average (the
first 100) to 2.8 (the first 1,000).
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from yacs.config import CfgNode

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from clip.model import CLIP as PackageCLIP

from multimode_ot import build_model
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.methods.build import default_settings

VIT_B16 = {
    "embed_dim": 512,
    "image_resolution": 224,
    "vision_layers": 12,
    "vision_width": 768,
    "vision_patch_size": 16,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 512,
    "transformer_heads": 8,
    "transformer_layers": 12,
}
KINDS = (
    "abbey airplane apple bear beetle bicycle bridge butterfly canyon castle cat coffee crab "
    "dahlia dog duck eagle flute fox garden goose guitar harbor heron hotel iris kitchen lake "
    "lily lizard market orchid oven owl panda parrot piano pizza poppy rose salmon shark sofa "
    "sparrow spider stadium tiger tower tulip turtle valley violin wagon whale wolf"
)
ATTRIBUTES = (
    "african alpine american arctic black blue bronze common crested desert eastern forest giant "
    "golden great green grey indian little long marsh mountain northern ocean orange pale prairie "
    "purple red river rock royal scarlet silver snow southern spotted striped swamp tropical "
    "western white wild wooden yellow"
)


def package_clip(seed: int = 0) -> PackageCLIP:
    """The `clip` package's ViT-B/16 in float32, with its own random initialisation, frozen."""
    torch.manual_seed(seed)
    return PackageCLIP(**VIT_B16).float().eval().requires_grad_(False)


def class_names(count: int, seed: int = 0) -> list[str]:
    """`count` different names: a kind with none to eight attributes, few with many."""
    rng = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < count:
        attributes = rng.choices(range(9), weights=(28, 38, 20, 7, 3, 1, 1, 1, 1))[0]
        names[
            " ".join([*rng.sample(ATTRIBUTES.split(), attributes), rng.choice(KINDS.split())])
        ] = None
    return list(names)


def numbered_names(count: int) -> list[str]:
    """`class number 0`, ...: nearly one length, so that padding to the longest costs little."""
    return [f"class number {i}" for i in range(count)]


def images_and_labels(batch: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`(B, 3, 224, 224)` standard normal images, `(B,)` labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, 224, 224, generator=generator)
    return images, torch.randint(classes, (batch,), generator=generator)


def our_model(
    clip: PackageCLIP,
    classes: int | Sequence[str],
    method: str = "ALIGN",
    **settings,
) -> PromptedCLIP:
    """A method on `clip`'s weights, for names or so many `class_names`; `settings` are keys of its
    config."""
    torch.manual_seed(1)
    node = CfgNode(dict(default_settings(method)) | {"PREC": "fp32"} | settings)
    names = class_names(classes) if isinstance(classes, int) else classes
    return build_model(method, clip, names, node)
