"""What a backbone is shown is, to the last number, what its own library shows it."""

import json

import numpy as np
import pytest
import torch
from multimode_ot.backbone.formats.hugging_face_images import preprocessing
from multimode_ot.backbone.formats.open_clip import describe
from multimode_ot.training.preprocessing import settings_for
from multimode_ot.training.transforms import test_transform as evaluation
from PIL import Image
from yacs.config import CfgNode

SIDE = 40
COLOURS = {"mean": [0.5, 0.25, 0.125], "std": [0.5, 0.25, 1.0]}
SIZES = [(31, 31), (40, 40), (33, 47), (101, 37), (41, 40), (333, 500)]


def pictures():
    dice = np.random.default_rng(0)
    for width, height in SIZES:
        yield Image.fromarray(dice.integers(0, 256, (height, width, 3), dtype=np.uint8))


def ours(seen):
    return evaluation(CfgNode({"TRANSFORMS": ["normalize"], **settings_for(seen)}))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_open_clips(mode, interpolation):
    transform = pytest.importorskip("open_clip.transform", reason="open_clip is not installed")
    from open_clip_models import model_config

    says = {**COLOURS, "interpolation": interpolation, "resize_mode": mode}
    told = {"model_cfg": model_config({"image_size": SIDE}), "preprocess_cfg": says}
    here = ours(describe(told, "X").preprocessing)
    own = transform.image_transform_v2(transform.PreprocessCfg(size=SIDE, **says), is_train=False)
    for picture in pictures():
        assert torch.equal(here(picture), own(picture))


@pytest.mark.parametrize("resample", [0, 2, 3])
@pytest.mark.parametrize(
    "size", [{"shortest_edge": SIDE}, {"height": SIDE, "width": SIDE}], ids=["shortest", "squash"]
)
def test_hugging_faces(size, resample, tmp_path):
    """Of its processor for PIL, whose resizing is the published one; the other rounds."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    Processor = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
    own = Processor(
        size=size,
        crop_size={"height": SIDE, "width": SIDE},
        resample=resample,
        image_mean=COLOURS["mean"],
        image_std=COLOURS["std"],
    )
    own.save_pretrained(tmp_path)
    told = json.loads((tmp_path / "preprocessor_config.json").read_text())
    here = ours(preprocessing(told, SIDE)[0])
    for picture in pictures():
        (theirs,) = own(picture, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(here(picture), theirs, rtol=0, atol=1e-5)
