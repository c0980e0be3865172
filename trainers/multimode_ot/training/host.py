"""What the trainers take from Dassl: its optimisers, its schedules, its loaders."""

from __future__ import annotations

from typing import Any

from dassl.data import DataManager
from dassl.data.data_manager import build_data_loader
from dassl.optim import build_lr_scheduler, build_optimizer
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ..methods.base import PromptedCLIP
from .optimisation import build_optimisation
from .transforms import test_transform

# What a trainer of Dassl has of its data.
_OF_DATA = (
    *("train_loader_x", "train_loader_u", "val_loader", "test_loader"),
    *("num_classes", "num_source_domains", "lab2cname"),
)


def host_optimisation(model: PromptedCLIP, optim: CfgNode, iterations: int) -> tuple[Any, Any]:
    """`build_optimisation` with Dassl's builders."""
    return build_optimisation(model, optim, iterations, build_optimizer, build_lr_scheduler)


def data_that_squash(cfg: CfgNode) -> dict[str, Any]:
    """The data set and its loaders under the names that a trainer has them by; validation and test
    pictures are squashed."""
    height, width = cfg.INPUT.SIZE
    print(f"Evaluation squashes the whole picture to {height}x{width} (INPUT.RESIZE_MODE)")
    dm = DataManager(cfg, custom_tfm_test=test_transform(cfg.INPUT))
    return {"dm": dm, **{name: getattr(dm, name) for name in _OF_DATA}}


def in_order(cfg: CfgNode, images: Any, seen_as: Any) -> DataLoader:
    """All images of a loader in the order of their list, none left out.

    Args:
        seen_as: a loader whose transform they get.
    """
    return build_data_loader(
        cfg,
        data_source=images.dataset.data_source,
        batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
        tfm=seen_as.dataset.transform,
        is_train=False,
    )
