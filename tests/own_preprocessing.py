"""A small CLIP that says what it was trained to see, and pictures that show what it is shown."""

import json
from importlib import metadata
from pathlib import Path

import torch
from multimode_ot.backbone import names
from PIL import Image
from random_clip import SHAPES, random_state

KEY = "MODEL.BACKBONE.PREPROCESSING"
SIZE = 40
SHAPES["tiny-vit, 40 px"] = SHAPES["tiny-vit"] | {"image_resolution": SIZE}
MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.25, 1.0)
SAYS = {"activation": "quick_gelu", "head_width": 64}
SEES = {"mean": MEAN, "std": STD, "interpolation": "bilinear", "resize": "squash"}
# What `SEES` is as settings.
SETTINGS = {
    "INPUT.SIZE": [SIZE, SIZE],
    "INPUT.PIXEL_MEAN": list(MEAN),
    "INPUT.PIXEL_STD": list(STD),
    "INPUT.INTERPOLATION": "bilinear",
    "INPUT.RESIZE_MODE": "squash",
}
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


class Entry:
    """An entry point of an installed package, as far as it is looked at."""

    def __init__(self, name, **says):
        self.name, self.says = name, says

    def load(self):
        return lambda: dict(self.says)


def weights(folder: Path, shape: str = "tiny-vit, 40 px", name: str = "odd.pt") -> Path:
    """A file of bare tensors."""
    torch.save(dict(random_state(shape)), folder / name)
    return folder / name


def open_clip_folder(folder: Path, shape: str = "tiny-vit, 40 px") -> Path:
    """The same in open_clip's format, with what it was trained to see."""
    sizes = SHAPES[shape]
    vision = {"image_size": sizes["image_resolution"], "patch_size": sizes["vision_patch_size"]}
    vision |= {"layers": sizes["vision_layers"], "width": sizes["vision_width"]}
    text = {"width": sizes["transformer_width"], "heads": sizes["transformer_heads"]}
    text |= {"layers": sizes["transformer_layers"]}
    model = {"embed_dim": sizes["embed_dim"], "quick_gelu": True}
    seen = {key: SEES[key] for key in ("mean", "std", "interpolation")}
    config = {
        "model_cfg": model | {"vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": seen | {"resize_mode": SEES["resize"]},
    }
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(dict(random_state(shape)), folder / "open_clip_pytorch_model.bin")
    return folder


def advertise(monkeypatch, name: str, path: Path, **sees) -> str:
    """Let a package advertise weights with what they see; returns the name."""
    there = metadata.entry_points(group=names.ENTRY_POINTS)
    before = names.entry_points
    own = Entry(name, path=path, **SAYS, **sees)
    monkeypatch.setattr(names, "entry_points", lambda group: [*(before(group=group) or there), own])
    return name


def wide_pictures(folder: Path, each: int = 6) -> Path:
    """Pictures of 80 x 40 by class: grey, with the class's colour in the outer eighths alone, which
    cutting the middle out leaves away."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(each):
            picture = Image.new("RGB", (80, 40), (128, 128, 128))
            for left in (0, 70):
                picture.paste(colour, (left, 0, left + 10, 40))
            picture.save(folder / name / f"{i}.png")
    return folder
