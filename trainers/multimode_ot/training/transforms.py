"""From a picture to what a backbone takes, by a node `INPUT`, for callers that have no Dassl.

Both pipelines are those of the stand-in, with the same draws of the same generators; a test holds
them equal. `INPUT.RESIZE_MODE` is not Dassl's: `squash` shows the evaluation the whole picture. The
training's pipeline is the same with both: it cuts at random, or else squashes.
"""

from __future__ import annotations

from typing import Any

from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from yacs.config import CfgNode

from ..backbone.architecture import RESIZE_MODES
from ..config import require_known
from .randaugment import RandAugment

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
# What INPUT.TRANSFORMS may name. The evaluation's crop is always central, and needs no name.
STEPS = (
    *("random_flip", "random_resized_crop", "random_crop", "center_crop", "normalize"),
    *("randaugment", "colorjitter", "randomgrayscale", "gaussian_blur"),
)


def test_transform(inp: CfgNode) -> T.Compose:
    """The evaluation's: from a PIL image to `(3, H, W)`. Draws nothing.

    Args:
        inp: the node `INPUT`.

    Raises:
        ValueError: with the key and what is allowed.
    """
    mode, size = _checked(inp), tuple(inp.SIZE)
    if resize_mode(inp) == "squash":
        return _compose(inp, T.Resize(size, mode))
    return _compose(inp, T.Resize(max(size), mode), T.CenterCrop(size))


def resize_mode(inp: CfgNode) -> str:
    """How the evaluation makes a picture square, one of `RESIZE_MODES`; `shortest`, as Dassl does,
    in nodes of earlier versions, which do not say."""
    mode = inp.get("RESIZE_MODE", RESIZE_MODES[0])
    require_known("INPUT.RESIZE_MODE", mode, RESIZE_MODES)
    return mode


def train_transform(inp: CfgNode) -> T.Compose:
    """The training's, as `test_transform`. Draws from torch's and Python's global generators, and
    the place of a cutout from NumPy's."""
    mode, size, chosen = _checked(inp), tuple(inp.SIZE), set(inp.TRANSFORMS)
    steps: list[Any] = []
    if not chosen & {"random_crop", "random_resized_crop"}:
        steps.append(T.Resize(size, mode))
    if "random_crop" in chosen:
        steps.append(T.RandomCrop(size, inp.CROP_PADDING))
    if "random_resized_crop" in chosen:
        scale = tuple(inp.RRCROP_SCALE)
        steps.append(T.RandomResizedCrop(size, scale, interpolation=mode))
    if "random_flip" in chosen:
        steps.append(T.RandomHorizontalFlip())
    if "randaugment" in chosen:
        steps.append(RandAugment(inp.RANDAUGMENT_N, inp.RANDAUGMENT_M))
    if "colorjitter" in chosen:
        steps.append(T.ColorJitter(*(inp[f"COLORJITTER_{letter}"] for letter in "BCSH")))
    if "randomgrayscale" in chosen:
        steps.append(T.RandomGrayscale(inp.RGS_P))
    if "gaussian_blur" in chosen:
        steps.append(T.RandomApply([T.GaussianBlur(inp.GB_K)], inp.GB_P))
    return _compose(inp, *steps)


def _checked(inp: CfgNode) -> InterpolationMode:
    for name in inp.TRANSFORMS:
        require_known("INPUT.TRANSFORMS", name, STEPS)
    require_known("INPUT.INTERPOLATION", inp.INTERPOLATION, INTERPOLATIONS)
    return InterpolationMode(inp.INTERPOLATION)


def _compose(inp: CfgNode, *steps: Any) -> T.Compose:
    normalised = "normalize" in inp.TRANSFORMS
    last = [T.Normalize(inp.PIXEL_MEAN, inp.PIXEL_STD)] if normalised else []
    return T.Compose([*steps, T.ToTensor(), *last])
