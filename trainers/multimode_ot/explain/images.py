"""The pictures that are explained, as they are and as the network sees them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..results.predictions import Prediction
from ..training.finished import FinishedRun
from ..training.pictures import read_picture
from ..training.transforms import resize_mode, test_transform
from .canvas import Seen
from .overlay import seen_rectangle


class Pictures:
    """Reads pictures as the run's evaluation did."""

    def __init__(self, run: FinishedRun, device: torch.device):
        self.run, self.device = run, device
        self.transform = test_transform(run.cfg.INPUT)
        self.size, self.resize = max(run.cfg.INPUT.SIZE), resize_mode(run.cfg.INPUT)

    def read(self, path: Path) -> Image.Image:
        """The original in 8-bit RGB; `OSError` of a file that cannot be decoded, with its path."""
        return read_picture(path, self.run.as_seen)

    def seen(self, pictures: Sequence[Image.Image]) -> Tensor:
        """`(B, 3, H, W)`, on the device."""
        return torch.stack([self.transform(picture) for picture in pictures]).to(self.device)

    def place(self, picture: Image.Image, patches: int) -> Seen:
        """What a map of so many patches, a square number, is drawn on."""
        side = math.isqrt(patches)
        rectangle = seen_rectangle(*picture.size, self.size, self.resize)
        return Seen(picture, rectangle, (side, side))

    def batches(self, chosen: Sequence[Prediction], what: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Test images and their labels, in batches like the evaluation's; a bar shows how far
        `what` has come, where there is a terminal."""
        size = self.run.cfg.DATALOADER.TEST.BATCH_SIZE
        for start in tqdm(range(0, len(chosen), size), desc=what, disable=None):
            part = chosen[start : start + size]
            files = [self.read(self.run.image_path(p.path)) for p in part]
            yield self.seen(files), torch.tensor([p.label for p in part])
