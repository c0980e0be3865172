"""From a config to the data set and loaders of a run; trainers reach it as `self.dm`.

Loaders are stock ones, without generator, worker seeding or collation of their own, so that a
seed gives the batches it gives elsewhere.
"""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from operator import attrgetter
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from dassl.utils import read_image

from . import transforms  # its names only where they are used: torchvision starts slowly
from ._cache import can_fork, image_cache
from ._unreadable import Readable, leave_out_unreadable
from .datasets import Datum, build_dataset, reads_as_seen
from .samplers import build_sampler

_SPLITS = ("train_x", "train_u", "val", "test")


def build_data_loader(
    cfg: CfgNode,
    sampler_type: str = "SequentialSampler",
    data_source: Sequence[Datum] | None = None,
    batch_size: int = 64,
    n_domain: int = 0,
    n_ins: int = 2,
    tfm: Any = None,
    is_train: bool = True,
    dataset_wrapper: Callable[..., Dataset] | None = None,
) -> DataLoader:
    """A loader over `data_source`; training drops a last partial batch unless it is the only one.

    Raises:
        AssertionError: no image, with the data set and where it looked.
    """
    items = data_source or []
    if not isinstance(items, Readable):
        items = leave_out_unreadable(cfg, {"data_source": items})["data_source"]
    if not items:
        split = "training" if is_train else "validation or test"
        raise AssertionError(
            f"A {split} loader of data set {cfg.DATASET.NAME} has no images "
            f'(DATASET.ROOT is "{cfg.DATASET.ROOT}")'
        )
    workers = cfg.DATALOADER.NUM_WORKERS
    # The image cache is shared with workers by forking, which not every Python does by default.
    fork = workers > 0 and cfg.DATALOADER.CACHE_MB > 0 and can_fork()
    return DataLoader(
        (dataset_wrapper or DatasetWrapper)(cfg, items, transform=tfm, is_train=is_train),
        batch_size=batch_size,
        sampler=build_sampler(sampler_type, cfg, items, batch_size, n_domain, n_ins),
        num_workers=workers,
        drop_last=is_train and len(items) >= batch_size,
        pin_memory=torch.cuda.is_available() and cfg.USE_CUDA,
        multiprocessing_context="fork" if fork else None,
    )


def _try_transform(cfg: CfgNode, is_train: bool) -> None:
    """Refuse settings of `INPUT` that make no transform, before readers write anything."""
    try:
        with redirect_stdout(StringIO()):
            transform = transforms.build_transform(cfg, is_train)
        if transform is not None:
            with torch.random.fork_rng(devices=[]):
                transform(Image.new("RGB", tuple(2 * edge for edge in reversed(cfg.INPUT.SIZE))))
    except (AssertionError, NotImplementedError):  # of `build_transform` itself
        raise
    except Exception as error:  # torchvision has no common type for what it refuses
        raise ValueError(f"No transform can be made of the settings INPUT: {error}") from error


class DatasetWrapper(Dataset):
    """Images and labels by position, transformed; a list of transforms gives `img`, `img2`, ...

    Images are read with `read_image`, upright and on white if `INPUT.AS_SEEN` or, where that is
    "auto", the reader that `DATASET.NAME` names says so.
    """

    def __init__(
        self,
        cfg: CfgNode,
        data_source: Sequence[Datum],
        transform: Any = None,
        is_train: bool = False,
    ) -> None:
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise ValueError(
                f"DATALOADER.K_TRANSFORMS is {self.k_tfm}, but there is no transform to apply"
            )
        self.to_tensor = transforms.build_resize(cfg)
        self.as_seen = reads_as_seen(cfg)
        self._cache = image_cache(cfg, [item.impath for item in data_source], self.as_seen)

    def __getstate__(self) -> dict[str, Any]:
        # Shared memory does not travel to processes that are not forked; these decode themselves.
        return {**vars(self), "_cache": None}

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        item = self.data_source[idx]
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        if self._cache is None:
            image = read_image(item.impath, self.as_seen)
        else:
            image = self._cache.read(idx)
        several = isinstance(self.transform, (list, tuple))
        for i, transform in enumerate(self.transform if several else [self.transform]):
            views = [image if transform is None else transform(image) for _ in range(self.k_tfm)]
            output["img" if i == 0 else f"img{i + 1}"] = views if self.k_tfm > 1 else views[0]
        if self.return_img0:
            output["img0"] = self.to_tensor(image)
        return output


class DataManager:
    """The data set and its loaders."""

    def __init__(
        self,
        cfg: CfgNode,
        custom_tfm_train: Any = None,
        custom_tfm_test: Any = None,
        dataset_wrapper: Callable[..., Dataset] | None = None,
    ) -> None:
        reads_as_seen(cfg)  # refuses a wrong setting before readers write anything
        customs = {True: custom_tfm_train, False: custom_tfm_test}
        for is_train, custom in customs.items():
            if custom is None:
                _try_transform(cfg, is_train)
        dataset = build_dataset(cfg)
        if not dataset.test:
            raise AssertionError(
                f"The test split of data set {cfg.DATASET.NAME} is empty "
                f'(looked in "{dataset.dataset_dir or cfg.DATASET.ROOT}")'
            )
        pipelines = {}
        for is_train, custom in customs.items():
            if custom is None:
                pipelines[is_train] = transforms.build_transform(cfg, is_train)
            else:
                print(f"* Using custom transform for {'training' if is_train else 'testing'}")
                pipelines[is_train] = custom

        lists = {name: getattr(dataset, name) for name in _SPLITS}
        lists = leave_out_unreadable(cfg, {name: items for name, items in lists.items() if items})

        def loader(split: str, options: CfgNode, is_train: bool) -> Any:
            if split not in lists:
                return None
            return build_data_loader(
                cfg,
                sampler_type=options.SAMPLER,
                data_source=lists[split],
                batch_size=options.BATCH_SIZE,
                tfm=pipelines[is_train],
                is_train=is_train,
                dataset_wrapper=dataset_wrapper,
            )

        options = cfg.DATALOADER
        train_u = options.TRAIN_X if options.TRAIN_U.SAME_AS_X else options.TRAIN_U
        self.train_loader_x = loader("train_x", options.TRAIN_X, True)
        self.train_loader_u = loader("train_u", train_u, True)
        self.val_loader = loader("val", options.TEST, False)
        self.test_loader = loader("test", options.TEST, False)

        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        self.dataset = dataset
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    num_classes = property(attrgetter("_num_classes"))
    num_source_domains = property(attrgetter("_num_source_domains"))
    lab2cname = property(attrgetter("_lab2cname"))

    def show_dataset_summary(self, cfg: CfgNode) -> None:
        """Print a table of the data set's name, classes and numbers of images."""
        from tabulate import tabulate

        rows = [("Dataset", cfg.DATASET.NAME)]
        for side in ("Source", "Target"):
            if domains := cfg.DATASET[f"{side.upper()}_DOMAINS"]:
                rows.append((side, str(domains)))
        rows.append(("# classes", f"{self.num_classes:,}"))
        for split in _SPLITS:
            if items := getattr(self.dataset, split):
                rows.append((f"# {split}", f"{len(items):,}"))
        print(tabulate(rows, disable_numparse=True))
