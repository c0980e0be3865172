"""What a caller gives: pictures in any form, labels, the names of their classes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from ..training.pictures import Picture, read_picture

Label = str | int
Names = Mapping[Any, str] | Sequence[str] | None


def listed(images: Iterable[Picture]) -> list[Picture]:
    """Pictures as a list: of any sequence, or of one stacked array `(N, H, W)`, `(N, H, W, C)` or
    tensor `(N, H, W)`, `(N, C, H, W)`.

    Raises:
        ValueError: one picture in the place of several, none, or numbers of another shape.
    """
    single = isinstance(images, str | os.PathLike | Image.Image)
    if single or isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise ValueError(
            f"images must be a list of pictures, not {'one ' * single}{type(images).__name__}"
        )
    numbers = isinstance(images, Tensor) or (
        isinstance(images, np.ndarray) and images.dtype.kind not in "OUST"
    )
    if numbers and images.ndim not in (3, 4):  # type: ignore[attr-defined]
        shape = tuple(images.shape)  # type: ignore[attr-defined]
        raise ValueError(
            f"images of shape {shape}: a stack of pictures has three or four axes, (N, H, W) or "
            "(N, H, W, C), and of a tensor (N, C, H, W)"
        )
    found = list(images.ravel() if isinstance(images, np.ndarray) and not numbers else images)
    if not found:
        raise ValueError("images are none: give at least one picture")
    return found


def labels_of(labels: Any, images: Sequence[Picture]) -> list[Label]:
    """Labels as a list of strings or whole numbers, one for each picture.

    Raises:
        ValueError: others, or another number of them.
    """
    found = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    if len(found) != len(images):
        raise ValueError(f"{len(images)} images and {len(found)} labels: give one to each")
    found = [str(label) if isinstance(label, str) else label for label in found]
    found = [int(label) if isinstance(label, np.integer) else label for label in found]
    kinds = {type(label) for label in found}
    if kinds not in ({str}, {int}):
        named = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"labels must be all strings or all whole numbers, got {named}")
    return found


def names_of(classes: Sequence[Label], classnames: Names) -> list[str]:
    """The class names as prompts see them, in the order of the sorted labels.

    Raises:
        ValueError: numbers without names, or names that do not fit the labels.
    """
    if classnames is None:
        if isinstance(classes[0], int):
            raise ValueError(
                f"labels are numbers ({classes[0]}, ...), and prompts need names: give classnames, "
                "a list in the order of the sorted labels or a mapping from labels to names"
            )
        return list(map(str, classes))
    if isinstance(classnames, Mapping):
        missing = [label for label in classes if label not in classnames]
        if missing:
            raise ValueError(f"classnames have no name for the labels {missing[:5]}")
        return [classnames[label] for label in classes]
    names = classnames.tolist() if isinstance(classnames, np.ndarray) else classnames
    if isinstance(names, str) or len(names) != len(classes):
        got = "one string" if isinstance(names, str) else f"{len(names)} names"
        raise ValueError(f"classnames are {got} for {len(classes)} different labels")
    return list(names)


def few_shot(labels: Sequence[Any], shots: int, seed: int) -> list[int]:
    """The images that a seed picks, as this ecosystem's readers do: at most `shots` of each label,
    labels by first appearance."""
    draw, groups = random.Random(seed), _by_label(labels)
    picks = (draw.sample(g, shots) if len(g) >= shots else g for g in groups.values())
    return [index for group in picks for index in group]


def held_out(labels: Sequence[Any], share: float, seed: int) -> list[int]:
    """A share of the images of each label, drawn; at least one, and never the last one."""
    draw, found = random.Random(seed), []
    for group in _by_label(labels).values():
        count = min(max(1, round(share * len(group))), len(group) - 1)
        found += draw.sample(group, count)
    return sorted(found)


def _by_label(labels: Sequence[Any]) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    return groups


class Pictures(Dataset):
    """Pictures as tensors, in the form that the trainers' loaders have them.

    Args:
        labels: numbers of the classes.
        transform: makes `(3, H, W)` of a PIL image.
        views: how often it does; several give a list.
    """

    def __init__(
        self,
        images: Sequence[Picture],
        labels: Sequence[int],
        transform: Any,
        as_seen: bool,
        views: int = 1,
    ):
        self.images, self.labels, self.transform = images, labels, transform
        self.as_seen, self.views = as_seen, views

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        source = self.images[index]
        image = read_picture(source, self.as_seen)
        views = [self.transform(image) for _ in range(self.views)]
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else f"image {index}"
        pixels = views if self.views > 1 else views[0]
        return {"img": pixels, "label": self.labels[index], "impath": name}


def training_batches(pictures: Pictures, size: int, workers: int) -> DataLoader:
    """Shuffled; a last partial batch is left out unless it is the only one."""
    return DataLoader(
        pictures,
        batch_size=size,
        sampler=RandomSampler(pictures),
        num_workers=workers,
        drop_last=len(pictures) >= size,
        pin_memory=torch.cuda.is_available(),
    )


def batches_in_order(
    pictures: Pictures, size: int, workers: int, generator: torch.Generator | None = None
) -> DataLoader:
    """Args: generator: in the place of the global one, from which a loader draws once a round."""
    pin = torch.cuda.is_available()
    return DataLoader(
        pictures, batch_size=size, num_workers=workers, pin_memory=pin, generator=generator
    )
