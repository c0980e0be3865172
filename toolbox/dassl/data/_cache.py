"""Decoded images kept in memory for a run (`DATALOADER.CACHE_MB`), shared with loader workers.

Workers are forked anew for every epoch, so what one decodes is lost unless it lies in memory that
it shares with the main process. An anonymous shared mapping does that: the first epoch fills it
from wherever images are decoded, without a pass of its own before training, its pages cost
nothing until used, and unlike torch's shared tensors it needs no room in /dev/shm, which
containers keep small. What it holds is the RGB bytes before any transform, so results are the
same to the bit as without it.
"""

import functools
import mmap
import multiprocessing
import os
import threading
import weakref
from collections.abc import Sequence

import numpy as np
from PIL import Image
from yacs.config import CfgNode

from dassl.utils import read_image


def can_fork() -> bool:
    """Whether loader workers can be forked, and so share memory: not on Windows."""
    try:
        multiprocessing.get_context("fork")
    except ValueError:
        return False
    return hasattr(os, "fork")


def image_cache(cfg: CfgNode, paths: Sequence[str], as_seen: bool) -> "ImageCache | None":
    """The cache that `DATALOADER.CACHE_MB` asks for, if it can be shared with the workers."""
    if cfg.DATALOADER.CACHE_MB <= 0:
        return None
    if cfg.DATALOADER.NUM_WORKERS > 0 and not can_fork():
        _say_it_is_off()
        return None
    return ImageCache(paths, cfg.DATALOADER.CACHE_MB, as_seen)


@functools.cache
def _say_it_is_off() -> None:
    print(
        "DATALOADER.CACHE_MB is without effect: processes cannot fork here, so workers cannot "
        "share the images; with DATALOADER.NUM_WORKERS 0 they are kept"
    )


class _Arena:
    """`megabytes` of shared memory, given out front to back."""

    def __init__(self, megabytes: int) -> None:
        self.pixels = np.frombuffer(mmap.mmap(-1, megabytes << 20), dtype=np.uint8)
        self.used = np.frombuffer(mmap.mmap(-1, 8), dtype=np.int64)
        shared = can_fork()
        self.lock = multiprocessing.get_context("fork").Lock() if shared else threading.Lock()


# One budget a run: training, validation and test draw on the same arena, gone with its last user.
_arenas: "weakref.WeakValueDictionary[int, _Arena]" = weakref.WeakValueDictionary()


class ImageCache:
    """The decoded images of one list of paths, by position."""

    def __init__(self, paths: Sequence[str], megabytes: int, as_seen: bool = False) -> None:
        self.paths, self.as_seen = paths, as_seen
        arena = _arenas.get(megabytes) or _Arena(megabytes)
        _arenas[megabytes] = self.arena = arena
        # Offset, height and width of each image; a height of 0 says that it is not there.
        table = mmap.mmap(-1, 24 * max(len(paths), 1))
        self.table = np.frombuffer(table, dtype=np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        """How many images it holds."""
        return int(np.count_nonzero(self.table[:, 1]))

    def read(self, index: int) -> Image.Image:
        """The image in RGB, decoded only if it is not there yet."""
        with self.arena.lock:  # also orders the table entry after the pixels it stands for
            offset, height, width = self.table[index].tolist()
        if height:
            block = self.arena.pixels[offset : offset + height * width * 3]
            return Image.fromarray(block.reshape(height, width, 3).copy())
        image = read_image(self.paths[index], self.as_seen)
        pixels = np.asarray(image)
        with self.arena.lock:
            offset = int(self.arena.used[0])
            if offset + pixels.size > self.arena.pixels.size:
                return image
            self.arena.used[0] = offset + pixels.size
        self.arena.pixels[offset : offset + pixels.size] = pixels.reshape(-1)
        with self.arena.lock:
            self.table[index] = offset, *pixels.shape[:2]
        return image
