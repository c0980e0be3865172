"""Image features made once, and batches of them in the place of images.

Axes: `P` passes, `N` images, `d` joint width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from dassl.data.data_manager import build_data_loader
from torch import Tensor
from tqdm import tqdm
from yacs.config import CfgNode

from ..methods.on_features import OnFeatures


@torch.no_grad()
def encode(model: OnFeatures, loader: Any, passes: int, what: str) -> tuple[Tensor, Tensor]:
    """The features of a loader's images, `(P, N, d)`, and their labels `(N,)`, on the model's
    device, in the loader's order, with a bar on a terminal."""
    training, device = model.training, model.device
    model.eval()
    features: list[Tensor] = []
    labels: list[Tensor] = []
    with tqdm(total=passes * len(loader), desc=f"features of {what}", disable=None) as bar:
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
    model: OnFeatures, cfg: CfgNode, loader: Any, test_loader: Any, passes: int
) -> tuple[Tensor, Tensor]:
    """Each pass over the training images in the order of their list, none left out.

    Args:
        loader: that images are trained on.
        test_loader: whose transform images have that are not augmented.
    """
    source = loader if model.augmented else test_loader
    fixed = build_data_loader(
        cfg,
        data_source=loader.dataset.data_source,
        batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
        tfm=source.dataset.transform,
        is_train=False,
    )
    views = f"{passes} augmented passes of " if model.augmented and passes > 1 else ""
    features, labels = encode(model, fixed, passes, f"{views}the training images")
    print(f"Made {passes} x {len(labels)} features of the training images")
    return features, labels


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
