"""Small models that transformers makes and saves, beside what is read here."""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import pytest
import torch
from filled_models import fill, largest_differences
from multimode_ot.backbone.clip import CLIP
from multimode_ot.backbone.encoders import normalised
from multimode_ot.backbone.formats.hugging_face import read
from torch import Tensor, nn

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
transformers.utils.logging.disable_progress_bar()

VISION = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 128,
    "intermediate_size": 200,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
}


def model_config(vision=None, text=None, **others) -> dict:
    """A model's config, small where nothing else is said."""
    return {
        "projection_dim": 48,
        "vision_config": VISION | (vision or {}),
        "text_config": TEXT | (text or {}),
        **others,
    }


def make(config: dict, seed: int = 0) -> nn.Module:
    """The library's model of a config, random in all its parts."""
    model = transformers.CLIPModel(transformers.CLIPConfig.from_dict(config))
    fill(model, seed)
    return model.eval()


def save(model: nn.Module, folder: Path, kind: str = "safetensors") -> Path:
    """The folder, as the library writes it.

    `sharded` and `bin` are two of its forms; release 5 has given up to write the latter, and reads
    it.
    """
    model.save_pretrained(folder, max_shard_size="150KB" if kind.endswith("sharded") else "5GB")
    if kind.startswith("bin"):
        to_pickles(folder)
    return folder


def to_pickles(folder: Path) -> None:
    """A folder's files of safetensors as release 4 wrote them by default."""
    from safetensors.torch import load_file

    for file in folder.glob("*.safetensors"):
        torch.save(load_file(file), folder / _pickled(file.name))
        file.unlink()
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        content = json.loads(index.read_text())
        places = {key: _pickled(file) for key, file in content["weight_map"].items()}
        told = json.dumps(content | {"weight_map": places})
        (folder / "pytorch_model.bin.index.json").write_text(told)
        index.unlink()


def _pickled(name: str) -> str:
    return name.replace("model", "pytorch_model").replace(".safetensors", ".bin")


def edit(folder: Path, change) -> Path:
    """Change a saved folder's config."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    return folder


def loaded(folder: Path, name: str = "a model") -> CLIP:
    weights = read(folder, None, name)
    return CLIP(weights.state, weights.architecture, weights.name)


def reloaded(folder: Path) -> nn.Module:
    """The library's own reading of a folder."""
    return transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def library_features(model: nn.Module, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    found = model.get_image_features(pixel_values=images), model.get_text_features(input_ids=ids)
    # Release 5 returns them with what they were made of.
    image, text = (getattr(f, "pooler_output", f) for f in found)
    return normalised(image), normalised(text)


def differences(clip: CLIP, model: nn.Module, double: bool = False) -> tuple[float, float]:
    """The largest of the image and of the text features."""
    return largest_differences(clip, model, library_features, double)
