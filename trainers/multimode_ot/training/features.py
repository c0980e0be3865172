"""Image features made once, and batches of them in the place of images.

Axes: `P` passes, `N` images, `d` joint width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..methods.on_features import OnFeatures


@torch.no_grad()
def encode(
    model: OnFeatures, loader: Any, passes: int, what: str, quiet: bool = False
) -> tuple[Tensor, Tensor]:
    """The features of a loader's images, `(P, N, d)`, and their labels `(N,)`, on the model's
    device, in the loader's order, with a bar on a terminal unless `quiet`."""
    training, device = model.training, model.device
    model.eval()
    features: list[Tensor] = []
    labels: list[Tensor] = []
    with tqdm(total=passes * len(loader), desc=f"features of {what}", disable=quiet or None) as bar:
        for _ in range(passes):
            rows, labels = [], []
            for batch in loader:
                rows.append(model.image_features(batch["img"].to(device)))
                labels.append(batch["label"].to(device))
                bar.update()
            features.append(torch.cat(rows))
    model.train(training)
    return torch.stack(features), torch.cat(labels)


def encode_training_images(
    model: OnFeatures, loader: Any, passes: int, quiet: bool = False
) -> tuple[Tensor, Tensor]:
    """Each pass over the training images in the order of their list, none left out.

    Args:
        loader: of these images, in that order.
    """
    views = f"{passes} augmented passes of " if model.augmented and passes > 1 else ""
    features, labels = encode(model, loader, passes, f"{views}the training images", quiet)
    if not quiet:
        print(f"Made {passes} x {len(labels)} features of the training images")
    return features, labels


def prepare_features(
    model: OnFeatures,
    in_order: Callable[[bool], Any],
    split: Callable[[str], Any],
    size: int,
    epoch: Callable[[], int],
    quiet: bool = False,
) -> FeatureBatches | None:
    """Make the features that a method collects or trains on, once.

    Args:
        in_order: the loader of all training images in the order of their list, augmented or not.
        split: the loader of the "val" or "test" images.
        size: of a batch of the steps.
        epoch: tells the current one, from 0.
        quiet: without bars and words.

    Returns:
        What takes the place of the training loader; None where images are trained on.
    """
    model.encoded = functools.cache(lambda name: encode_split(model, split(name), name, quiet))
    passes = model.passes()
    if not passes:
        return None
    features, labels = encode_training_images(model, in_order(model.augmented), passes, quiet)
    model.collect(features, labels)
    trained_on = features if model.fits_at_once else features[: model.cfg.VIEWS]
    return FeatureBatches(model, trained_on, labels, size, epoch) if len(trained_on) else None


def encode_split(
    model: OnFeatures, loader: Any, name: str, quiet: bool = False
) -> tuple[Tensor, Tensor]:
    """Features `(N, d)` and labels `(N,)` of images that are not trained on."""
    # A resumed run comes here at another moment, and must draw the same numbers after it.
    with torch.random.fork_rng(devices=[]):
        features, labels = encode(model, loader, 1, f"the {name} images", quiet)
    return features[0], labels


class FeatureBatches:
    """Takes the place of the training loader: batches of features as a loader has those of images.

    Args:
        features: `(P, N, d)`.
        labels: `(N,)`.
        size: of a batch.
        epoch: tells the current one, from 0.
    """

    def __init__(
        self,
        model: OnFeatures,
        features: Tensor,
        labels: Tensor,
        size: int,
        epoch: Callable[[], int],
    ):
        self.model, self.size, self.epoch = model, size, epoch
        self.features, self.labels = features, labels
        with torch.random.fork_rng(devices=[]):
            self.steps = len(self._order())

    def _order(self) -> list[Tensor]:
        passes, images = self.features.shape[:2]
        return self.model.batches(self.epoch(), passes, images, self.size)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        features = self.features.flatten(0, 1)
        for chosen in self._order():
            chosen = chosen.to(features.device)
            yield {"img": features[chosen], "label": self.labels[chosen % len(self.labels)]}
