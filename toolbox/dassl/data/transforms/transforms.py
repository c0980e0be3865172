"""The two image pipelines of a run, and four small transforms they may hold.

`INPUT.TRANSFORMS` says which steps are taken; their order is fixed, whatever the order of the
names, so that a config of any host means the same here. Each step prints its line.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from yacs.config import CfgNode

AVAI_CHOICES = [
    "random_flip",
    "random_resized_crop",
    "normalize",
    "instance_norm",
    "random_crop",
    "random_translation",
    "center_crop",
    "cutout",
    "imagenet_policy",
    "cifar10_policy",
    "svhn_policy",
    "randaugment",
    "randaugment_fixmatch",
    "randaugment2",
    "gaussian_noise",
    "colorjitter",
    "randomgrayscale",
    "gaussian_blur",
]
_LEFT_OUT = AVAI_CHOICES[8:14]

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}


class Random2DTranslation:
    """Enlarge by an eighth and crop at a random place, with probability `p`; else resize."""

    def __init__(
        self,
        height: int,
        width: int,
        p: float = 0.5,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        self.height = height
        self.width = width
        self.p = p
        self.interpolation = interpolation

    def __call__(self, img: Image.Image) -> Image.Image:
        if random.uniform(0, 1) > self.p:
            return TF.resize(img, [self.height, self.width], self.interpolation)
        height, width = round(self.height * 1.125), round(self.width * 1.125)
        enlarged = TF.resize(img, [height, width], self.interpolation)
        left = round(random.uniform(0, width - self.width))
        top = round(random.uniform(0, height - self.height))
        return TF.crop(enlarged, top, left, self.height, self.width)


class InstanceNormalization:
    """Zero mean and unit deviation for each channel of each image."""

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = eps

    def __call__(self, img: Tensor) -> Tensor:
        flat = img.flatten(1)  # (C, H * W)
        mean, std = flat.mean(1)[:, None, None], flat.std(1)[:, None, None]
        return (img - mean) / (std + self.eps)


class Cutout:
    """Zero `n_holes` windows around random centres, clipped to the image."""

    def __init__(self, n_holes: int = 1, length: int = 16) -> None:
        self.n_holes = n_holes
        self.length = length

    def __call__(self, img: Tensor) -> Tensor:
        height, width = img.shape[-2:]
        half = self.length // 2
        holed = img.clone()
        for _ in range(self.n_holes):
            row = np.random.randint(height)  # noqa: NPY002 - the specified random stream
            column = np.random.randint(width)  # noqa: NPY002
            top, left = max(row - half, 0), max(column - half, 0)
            holed[..., top : row + half, left : column + half] = 0
        return holed


class GaussianNoise:
    """Add normal noise with probability `p`."""

    def __init__(self, mean: float = 0, std: float = 0.15, p: float = 0.5) -> None:
        self.mean = mean
        self.std = std
        self.p = p

    def __call__(self, img: Tensor) -> Tensor:
        if random.uniform(0, 1) > self.p:
            return img
        return img + torch.randn(img.size()) * self.std + self.mean


def build_transform(
    cfg: CfgNode, is_train: bool = True, choices: Sequence[str] | None = None
) -> T.Compose | None:
    """The pipeline for PIL images, or None with `INPUT.NO_TRANSFORM`.

    Raises:
        AssertionError: a name that is no transform.
        NotImplementedError: a learned augmentation policy, which the stand-in leaves out.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    chosen = cfg.INPUT.TRANSFORMS if choices is None else choices
    for name in chosen:
        if name not in AVAI_CHOICES:
            raise AssertionError(f'INPUT.TRANSFORMS has "{name}", which is none of {AVAI_CHOICES}')
        if is_train and name in _LEFT_OUT:
            raise NotImplementedError(
                f'INPUT.TRANSFORMS has "{name}": augmentation policies are not part of the stand-in'
            )
    if cfg.INPUT.INTERPOLATION not in INTERPOLATION_MODES:
        raise ValueError(
            f'INPUT.INTERPOLATION is "{cfg.INPUT.INTERPOLATION}", '
            f"but must be one of {list(INTERPOLATION_MODES)}"
        )
    print(f"Building transform_{'train' if is_train else 'test'}")
    steps = _train_steps(cfg.INPUT, chosen) if is_train else _test_steps(cfg.INPUT, chosen)
    for _, line in steps:
        print(f"+ {line}")
    return T.Compose([transform for transform, _ in steps])


def _train_steps(inp: CfgNode, chosen: Sequence[str]) -> list[tuple]:
    size, mode = tuple(inp.SIZE), INTERPOLATION_MODES[inp.INTERPOLATION]
    height, width = size
    steps: list[tuple] = []
    if "random_crop" not in chosen and "random_resized_crop" not in chosen:
        steps.append((T.Resize(size, interpolation=mode), f"resize to {height}x{width}"))
    if "random_translation" in chosen:
        steps.append((Random2DTranslation(height, width), "random translation"))
    if "random_crop" in chosen:
        crop = T.RandomCrop(size, padding=inp.CROP_PADDING)
        steps.append((crop, f"random crop (padding = {inp.CROP_PADDING})"))
    if "random_resized_crop" in chosen:
        scale = tuple(inp.RRCROP_SCALE)
        crop = T.RandomResizedCrop(size, scale=scale, interpolation=mode)
        steps.append((crop, f"random resized crop (size={size}, scale={scale})"))
    if "random_flip" in chosen:
        steps.append((T.RandomHorizontalFlip(), "random flip"))
    if "colorjitter" in chosen:
        b, c, s, h = inp.COLORJITTER_B, inp.COLORJITTER_C, inp.COLORJITTER_S, inp.COLORJITTER_H
        line = f"color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})"
        steps.append((T.ColorJitter(b, c, s, h), line))
    if "randomgrayscale" in chosen:
        steps.append((T.RandomGrayscale(p=inp.RGS_P), "random gray scale"))
    if "gaussian_blur" in chosen:
        blur = T.RandomApply([T.GaussianBlur(inp.GB_K)], p=inp.GB_P)
        steps.append((blur, f"gaussian blur (kernel={inp.GB_K})"))
    steps.append((T.ToTensor(), "to torch tensor of range [0, 1]"))
    if "cutout" in chosen:
        line = f"cutout (n_holes={inp.CUTOUT_N}, length={inp.CUTOUT_LEN})"
        steps.append((Cutout(inp.CUTOUT_N, inp.CUTOUT_LEN), line))
    steps += _normalization(inp, chosen)
    if "gaussian_noise" in chosen:
        line = f"gaussian noise (mean={inp.GN_MEAN}, std={inp.GN_STD})"
        steps.append((GaussianNoise(inp.GN_MEAN, inp.GN_STD), line))
    return steps + _instance_norm(chosen)


def _test_steps(inp: CfgNode, chosen: Sequence[str]) -> list[tuple]:
    height, width = inp.SIZE
    edge = max(height, width)
    resize = T.Resize(edge, interpolation=INTERPOLATION_MODES[inp.INTERPOLATION])
    return [
        (resize, f"resize the smaller edge to {edge}"),
        (T.CenterCrop((height, width)), f"{height}x{width} center crop"),
        (T.ToTensor(), "to torch tensor of range [0, 1]"),
        *_normalization(inp, chosen),
        *_instance_norm(chosen),
    ]


def _normalization(inp: CfgNode, chosen: Sequence[str]) -> list[tuple]:
    if "normalize" not in chosen:
        return []
    mean, std = inp.PIXEL_MEAN, inp.PIXEL_STD
    return [(T.Normalize(mean=mean, std=std), f"normalization (mean={mean}, std={std})")]


def _instance_norm(chosen: Sequence[str]) -> list[tuple]:
    return [(InstanceNormalization(), "instance normalization")] if "instance_norm" in chosen else []
