"""Small models that open_clip makes, fills with random numbers and saves, beside what is read here.

All parameters and buffers are random, since fresh models have zero biases and unit norms, which a
reader could drop or swap unnoticed.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from multimode_ot.backbone.class_tokens import tokenize
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.encoders import encode_image, encode_text, normalised, project_text
from torch import Tensor, nn

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")

TEXTS = ["a photo of a cat.", "The giant panda & 2 pandas", "x"]
VISION = {"image_size": 32, "layers": 2, "width": 128, "head_width": 64, "patch_size": 8}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
RESNET = {"image_size": 64, "layers": [1, 2, 1, 1], "width": 16, "patch_size": None}


def model_config(vision=None, text=None, **others) -> dict:
    """A model's config, small where nothing else is said; keys that are None here are left out."""
    vision = RESNET if vision == "resnet" else VISION | (vision or {})
    return {"embed_dim": 48, "vision_cfg": dict(vision), "text_cfg": TEXT | (text or {}), **others}


class NoTokenizer:
    """In the place of a tokenizer that would come from the network."""

    def save_pretrained(self, folder) -> None:
        pass


def make(config: dict, folder: Path, custom_text: bool = False, seed: int = 0) -> nn.Module:
    """The library's model of a config, random in all its parts."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"model_cfg": config, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    logging.disable(logging.WARNING)  # of weights that are not there
    try:
        model = open_clip.create_model(f"local-dir:{folder}", force_custom_text=custom_text)
    finally:
        logging.disable(logging.NOTSET)
    fill(model, seed)
    return model.eval()


def fill(model: nn.Module, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, tensor in model.state_dict(keep_vars=True).items():
            noise = torch.randn(tensor.shape, generator=dice)
            if not tensor.is_floating_point():  # a counter of batches
                tensor.fill_(7)
            elif key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=dice))
            elif tensor.ndim < 2 and key.endswith("weight"):
                tensor.copy_(1 + 0.3 * noise)
            elif tensor.ndim < 2:
                tensor.copy_(0.3 * noise)
            else:
                is_matrix = not key.endswith(("embedding", "embedding.weight"))
                tensor.copy_(noise / (tensor[0].numel() ** 0.5 if is_matrix else 1))


def save(model: nn.Module, config: dict, folder: Path, kind: str = "safetensors") -> Path:
    """The folder, as the library writes it; of kind `pt` with a checkpoint of its training."""
    from open_clip.push_to_hf_hub import save_for_hf

    safe = {"safetensors": True, "bin": False, "pt": True}[kind]
    skip = kind == "pt"
    save_for_hf(model, NoTokenizer(), config, str(folder), safe, skip)
    if kind == "pt":
        state = {f"module.{key}": value for key, value in model.state_dict().items()}
        torch.save({"epoch": 3, "name": "x", "state_dict": state}, folder / "epoch_3.pt")
    return folder


def inputs(resolution: int, double: bool = False) -> tuple[Tensor, Tensor]:
    images = torch.randn(3, 3, resolution, resolution, generator=torch.Generator().manual_seed(1))
    return images.double() if double else images, tokenize(TEXTS)


@torch.no_grad()
def features(clip: CLIP, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised features of this package's towers."""
    image = encode_image(clip, images, pooled_only=True)[:, 0, 0]
    text = project_text(clip, encode_text(clip, clip.token_embedding(ids), only=ids.argmax(-1)))
    return normalised(image), normalised(text)


@torch.no_grad()
def library_features(model: nn.Module, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    own = open_clip.tokenize(TEXTS)
    assert torch.equal(ids, own)
    return normalised(model.encode_image(images)), normalised(model.encode_text(own))


def differences(clip: CLIP, model: nn.Module, double: bool = False) -> tuple[float, float]:
    """The largest of the image and of the text features."""
    if double:
        clip, model = clip.double(), model.double()
    given = inputs(clip.resolution, double)
    pairs = zip(features(clip, *given), library_features(model, *given), strict=True)
    image, text = (float((ours - theirs).abs().max()) for ours, theirs in pairs)
    return image, text
