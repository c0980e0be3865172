"""Handwritten digits: the 1,797 scans that scikit-learn carries. Nothing to download.

digits/
    images/zero/0000.png ... nine/1796.png    8 x 8 pixels, light ink on dark paper
    split_Digits.json

The reader writes both where they are missing. Images are numbered as in
`sklearn.datasets.load_digits`; 50 % of each class are for training, 20 % for validation and the
rest for testing. The base classes are zero to four, the new ones five to nine.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, say, try_write_json
from .splits import Record, Split, read_split, split_groups

if TYPE_CHECKING:
    import numpy as np

CLASSNAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@DATASET_REGISTRY.register()
class Digits(FewShotDataset):
    dataset_dir = "digits"
    split_file = "split_Digits.json"
    published_sizes = (898, 359, 540)
    made_on_demand = True

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        """The split; with `write`, its file and every image of it are there afterwards."""
        path = directory / cls.split_file
        split = read_split(path) if path.is_file() else cls.build_split(directory)
        if write:
            images = Path(cls.image_directory(directory))
            if not all((images / r.path).is_file() for records in split for r in records):
                write_missing_scans(images)
            if not path.is_file():
                try_write_json(split._asdict(), path, "the split is built again in every run")
        return split

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        """A constant: it depends on the scans' labels and the readers' fixed seed alone."""
        _, labels = load_scans()
        return split_groups(
            [Record(scan_path(i, label), label, name) for i in (labels == label).nonzero()[0]]
            for label, name in enumerate(CLASSNAMES)
        )

    @classmethod
    def rebuilt_note(cls, directory: Path) -> str:
        return ""  # the split built here is the published one


def load_scans() -> tuple[np.ndarray, np.ndarray]:
    """The scans as grey levels, uint8 `(1797, 8, 8)`, and their labels `(1797,)`."""
    import numpy as np
    from sklearn.datasets import load_digits  # slow to import, and no other reader needs it

    scans = load_digits()
    return np.round(scans.images * (255 / 16)).astype(np.uint8), scans.target


def scan_path(index: int, label: int) -> str:
    """Where a scan is, below the image directory."""
    return f"{CLASSNAMES[label]}/{index:04d}.png"


def write_missing_scans(image_dir: Path) -> None:
    """Write each scan whose file is missing.

    A file appears under its name only when it is whole. So a run that is killed leaves some files
    missing and none damaged, the next run adds those, and runs that start together do not disturb
    each other. Raises DatasetError where files are missing and cannot be written.
    """
    from PIL import Image

    scans, labels = load_scans()
    paths = [image_dir / scan_path(i, label) for i, label in enumerate(labels)]
    missing = [i for i, path in enumerate(paths) if not path.is_file()]
    if not missing:
        return
    say(f"Digits: writing {len(missing)} scans below {image_dir}")
    try:
        for i in missing:
            png = io.BytesIO()
            Image.fromarray(scans[i]).save(png, format="PNG")
            paths[i].parent.mkdir(parents=True, exist_ok=True)
            temporary = paths[i].with_name(f".{paths[i].name}.{os.getpid()}.tmp")
            try:
                temporary.write_bytes(png.getvalue())
                os.replace(temporary, paths[i])
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as e:
        raise DatasetError(
            f"Digits: {len(missing)} images are missing and cannot be written below {image_dir} "
            f"({e.strerror or e}); choose a writable DATASET.ROOT"
        ) from e
