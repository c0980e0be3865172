"""Section 8: the two pipelines."""

import numpy as np
import pytest
import torch
from dassl.data.transforms import INTERPOLATION_MODES, build_transform
from dassl.data.transforms.transforms import AVAI_CHOICES
from PIL import Image
from torchvision.transforms import InterpolationMode

LEFT_OUT = "instance_norm random_translation cutout gaussian_noise imagenet_policy cifar10_policy "
LEFT_OUT += "svhn_policy randaugment_fixmatch randaugment2"
PART = [name for name in AVAI_CHOICES if name not in LEFT_OUT.split()]


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 255, (20, 40, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_interpolation_modes():
    assert INTERPOLATION_MODES == {
        "bilinear": InterpolationMode.BILINEAR,
        "bicubic": InterpolationMode.BICUBIC,
        "nearest": InterpolationMode.NEAREST,
    }


def test_the_training_pipeline_of_all_hosts(make_cfg, picture, capsys):
    cfg = make_cfg()
    capsys.readouterr()
    tfm = build_transform(cfg, is_train=True)
    assert lines(capsys) == [
        "Building transform_train",
        "+ random resized crop (size=(8, 8), scale=(0.08, 1.0))",
        "+ random flip",
        "+ to torch tensor of range [0, 1]",
        f"+ normalization (mean={cfg.INPUT.PIXEL_MEAN}, std={cfg.INPUT.PIXEL_STD})",
    ]
    assert tfm(picture).shape == (3, 8, 8)


def test_the_order_of_names_changes_nothing(make_cfg, picture):
    cfg = make_cfg()
    results = []
    for choices in (["normalize", "random_flip", "random_crop"], ["random_crop", "random_flip"]):
        torch.manual_seed(0)
        tfm = build_transform(cfg, choices=[*choices, "normalize"])
        results.append(tfm(picture))
    assert torch.equal(*results)


def test_every_step_prints_its_line_in_the_fixed_order(make_cfg, capsys):
    cfg = make_cfg("INPUT.GB_K", 3)
    capsys.readouterr()
    build_transform(cfg, choices=[c for c in reversed(PART) if c != "random_resized_crop"])
    mean, std = cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD
    assert lines(capsys)[1:] == [
        "+ random crop (padding = 4)",
        "+ random flip",
        "+ randaugment (n=2, m=10)",
        "+ color jitter (brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)",
        "+ random gray scale",
        "+ gaussian blur (kernel=3)",
        "+ to torch tensor of range [0, 1]",
        f"+ normalization (mean={mean}, std={std})",
    ]


def test_without_a_random_crop_training_resizes(make_cfg, picture, capsys):
    cfg = make_cfg("INPUT.SIZE", "(6, 8)")
    tfm = build_transform(cfg, choices=["center_crop"])
    assert "+ resize to 6x8" in lines(capsys)
    assert tfm(picture).shape == (3, 6, 8)
    assert tfm(picture).min() >= 0 and tfm(picture).max() <= 1


def test_evaluation_keeps_the_aspect_ratio_before_the_crop(make_cfg, capsys):
    cfg = make_cfg("INPUT.SIZE", "(8, 8)", "INPUT.INTERPOLATION", "nearest")
    capsys.readouterr()
    tfm = build_transform(cfg, is_train=False, choices=[])
    assert lines(capsys) == [
        "Building transform_test",
        "+ resize the smaller edge to 8",
        "+ 8x8 center crop",
        "+ to torch tensor of range [0, 1]",
    ]
    wide = np.zeros((16, 48, 3), dtype=np.uint8)
    wide[:, 16:32] = 255  # the middle third, which alone is left of a 3:1 picture
    assert tfm(Image.fromarray(wide)).min() == 1


def test_no_transform_and_wrong_names(make_cfg, capsys):
    assert build_transform(make_cfg("INPUT.NO_TRANSFORM", True)) is None
    assert lines(capsys)[-1] == "Note: no transform is applied!"
    with pytest.raises(AssertionError, match='"random_flop"'):
        build_transform(make_cfg(), choices=["random_flop"])
    for name in LEFT_OUT.split():
        with pytest.raises(NotImplementedError, match=f'"{name}".*not part of the stand-in'):
            build_transform(make_cfg(), choices=[name])
    with pytest.raises(ValueError, match=r'"cubic".*bicubic'):
        build_transform(make_cfg("INPUT.INTERPOLATION", "cubic"))
