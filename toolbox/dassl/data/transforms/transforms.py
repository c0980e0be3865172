"""The two image pipelines of a run.

`INPUT.TRANSFORMS` says which steps are taken; their order is fixed, whatever the order of the
names, so that a config of any host means the same here. Each step prints its line.
"""

from collections.abc import Sequence

from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from yacs.config import CfgNode

from .randaugment import RandAugment

_LEFT_OUT = (
    "instance_norm random_translation cutout gaussian_noise imagenet_policy cifar10_policy "
    "svhn_policy randaugment_fixmatch randaugment2"
).split()
AVAI_CHOICES = (
    "random_flip random_resized_crop normalize random_crop center_crop colorjitter "
    "randomgrayscale gaussian_blur randaugment"
).split() + _LEFT_OUT
INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}


def build_transform(
    cfg: CfgNode, is_train: bool = True, choices: Sequence[str] | None = None
) -> T.Compose | None:
    """The pipeline for PIL images, or None with `INPUT.NO_TRANSFORM`.

    Raises:
        AssertionError: a name that is no transform.
        NotImplementedError: a transform that the stand-in leaves out.
        ValueError: an unknown interpolation.
    """
    inp = cfg.INPUT
    if inp.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    chosen = inp.TRANSFORMS if choices is None else choices
    for name in chosen:
        if name not in AVAI_CHOICES:
            raise AssertionError(f'INPUT.TRANSFORMS has "{name}", which is none of {AVAI_CHOICES}')
        if name in _LEFT_OUT:
            raise NotImplementedError(
                f'INPUT.TRANSFORMS has "{name}", which is not part of the stand-in'
            )
    if inp.INTERPOLATION not in INTERPOLATION_MODES:
        raise ValueError(
            f'INPUT.INTERPOLATION is "{inp.INTERPOLATION}", '
            f"but must be one of {list(INTERPOLATION_MODES)}"
        )
    print(f"Building transform_{'train' if is_train else 'test'}")
    mean, std = inp.PIXEL_MEAN, inp.PIXEL_STD
    steps = _train_steps(inp, chosen) if is_train else _test_steps(inp)
    steps.append((T.ToTensor(), "to torch tensor of range [0, 1]"))
    if "normalize" in chosen:
        steps.append((T.Normalize(mean=mean, std=std), f"normalization (mean={mean}, std={std})"))
    for _, line in steps:
        print(f"+ {line}")
    return T.Compose([transform for transform, _ in steps])


def build_resize(cfg: CfgNode) -> T.Compose:
    """The pipeline of `img0` (`DATALOADER.RETURN_IMG0`): the whole image at `INPUT.SIZE`."""
    mode = INTERPOLATION_MODES[cfg.INPUT.INTERPOLATION]
    steps = [T.Resize(tuple(cfg.INPUT.SIZE), interpolation=mode), T.ToTensor()]
    if "normalize" in cfg.INPUT.TRANSFORMS:
        steps.append(T.Normalize(mean=cfg.INPUT.PIXEL_MEAN, std=cfg.INPUT.PIXEL_STD))
    return T.Compose(steps)


def _train_steps(inp: CfgNode, chosen: Sequence[str]) -> list[tuple]:
    size, mode = tuple(inp.SIZE), INTERPOLATION_MODES[inp.INTERPOLATION]
    steps: list[tuple] = []
    if "random_crop" not in chosen and "random_resized_crop" not in chosen:
        steps.append((T.Resize(size, interpolation=mode), f"resize to {size[0]}x{size[1]}"))
    if "random_crop" in chosen:
        crop = T.RandomCrop(size, padding=inp.CROP_PADDING)
        steps.append((crop, f"random crop (padding = {inp.CROP_PADDING})"))
    if "random_resized_crop" in chosen:
        scale = tuple(inp.RRCROP_SCALE)
        crop = T.RandomResizedCrop(size, scale=scale, interpolation=mode)
        steps.append((crop, f"random resized crop (size={size}, scale={scale})"))
    if "random_flip" in chosen:
        steps.append((T.RandomHorizontalFlip(), "random flip"))
    if "randaugment" in chosen:
        n, m = inp.RANDAUGMENT_N, inp.RANDAUGMENT_M
        steps.append((RandAugment(n, m), f"randaugment (n={n}, m={m})"))
    if "colorjitter" in chosen:
        b, c, s, h = inp.COLORJITTER_B, inp.COLORJITTER_C, inp.COLORJITTER_S, inp.COLORJITTER_H
        line = f"color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})"
        steps.append((T.ColorJitter(b, c, s, h), line))
    if "randomgrayscale" in chosen:
        steps.append((T.RandomGrayscale(p=inp.RGS_P), "random gray scale"))
    if "gaussian_blur" in chosen:
        blur = T.RandomApply([T.GaussianBlur(inp.GB_K)], p=inp.GB_P)
        steps.append((blur, f"gaussian blur (kernel={inp.GB_K})"))
    return steps


def _test_steps(inp: CfgNode) -> list[tuple]:
    height, width = inp.SIZE
    edge = max(height, width)
    resize = T.Resize(edge, interpolation=INTERPOLATION_MODES[inp.INTERPOLATION])
    crop = T.CenterCrop((height, width))
    return [
        (resize, f"resize the smaller edge to {edge}"),
        (crop, f"{height}x{width} center crop"),
    ]
