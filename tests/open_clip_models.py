"""Small models that open_clip makes and saves, beside what is read here."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from filled_models import TEXTS, fill, largest_differences
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.encoders import normalised
from torch import Tensor, nn

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")

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


@torch.no_grad()
def library_features(model: nn.Module, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    own = open_clip.tokenize(TEXTS)
    assert torch.equal(ids, own)
    return normalised(model.encode_image(images)), normalised(model.encode_text(own))


def differences(clip: CLIP, model: nn.Module, double: bool = False) -> tuple[float, float]:
    """The largest of the image and of the text features."""
    return largest_differences(clip, model, library_features, double)
