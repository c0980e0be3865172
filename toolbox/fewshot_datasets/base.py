"""The base class of the readers: from a directory and a config to Dassl's three lists."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, ClassVar

from dassl.data.datasets import DatasetBase, Datum

from . import fewshot
from .files import DatasetError, say, try_write_json
from .splits import Record, Split, check_labels, read_split


class FewShotDataset(DatasetBase):
    """Reads a data set below `cfg.DATASET.ROOT`; subclasses say where its files are.

    A reader states its layout in class attributes and implements `build_split`, or overrides
    `load_split` where there is no split file. Both are class methods on a directory, so that
    `fewshot_datasets.check` can use them without a config.

    Construction reads the split, takes the few-shot selection for `DATASET.NUM_SHOTS` and `SEED`,
    takes the `DATASET.SUBSAMPLE_CLASSES` half, and only then looks at image files.
    """

    dataset_dir: str = ""  # below the data root; an absolute path on instances
    image_dir: ClassVar[str] = "images"  # below dataset_dir
    split_file: ClassVar[str] = ""  # the published split, in dataset_dir
    published_sizes: ClassVar[tuple[int, int, int] | None] = None  # train, val, test
    made_on_demand: ClassVar[bool] = False  # the reader writes the images itself
    val_is_test: ClassVar[bool] = False
    test_only: ClassVar[bool] = False  # train is test; shots and subset have no effect
    as_seen: ClassVar[bool] = False  # read upright and on white; published numbers are without

    def __init__(self, cfg: Any) -> None:
        options = cfg.DATASET
        # Dassl's own defaults lack SUBSAMPLE_CLASSES; the repositories' train.py adds it.
        subset = options.get("SUBSAMPLE_CLASSES", "all")
        fewshot.check_subset(subset)
        directory = self.directory(options.ROOT)
        self.dataset_dir = str(directory)
        image_dir = self.image_directory(directory)

        try:
            split = self.load_split(directory)
        except DatasetError as e:
            hints = self.hints(directory.parent)
            raise DatasetError(f"{type(self).__name__}: {e}. {hints}") from e
        if not self.test_only:
            split = fewshot.select(
                split, options.NUM_SHOTS, cfg.SEED, directory, image_dir, type(self).__name__
            )
            split = fewshot.take_subset(split, subset)

        try:
            test = self._data(split.test, image_dir, "test")
            train = test if self.test_only else self._data(split.train, image_dir, "train")
            val = test if self.val_is_test else self._data(split.val, image_dir, "val")
        except DatasetError as e:
            raise DatasetError(f"{e}. {self.hints(directory.parent)}") from e
        super().__init__(train_x=train, val=val or None, test=test)

    @classmethod
    def directory(cls, root: str) -> Path:
        """The data set's absolute directory; raises DatasetError if it or its images are missing.

        A data set that is made on demand may be missing.
        """
        base = Path(os.path.abspath(os.path.expanduser(root)))
        directory = base / cls.dataset_dir
        for needed in (base, directory, Path(cls.image_directory(directory))):
            if needed.is_dir() or (needed is base and not base.exists()):
                continue  # of a missing root, the directory that was looked for is named
            if not cls.made_on_demand:
                fault = "not a directory" if needed.exists() else "missing directory"
                raise DatasetError(
                    f"{cls.__name__}: {fault}: {needed} (the data root is {root!r}). "
                    f"{cls.hints(base)}"
                )
        return directory

    @classmethod
    def layout_hint(cls) -> str:
        """Where a user finds the directory layout that this reader expects."""
        return f"Its layout: python -m pydoc {cls.__module__}"

    @classmethod
    def get_command(cls, root: Path) -> str:
        """The command that fetches the data set; empty for pictures that nobody published."""
        if not cls.published_sizes or cls.made_on_demand:
            return ""
        name = cls.__module__.rpartition(".")[2]
        return f"python -m fewshot_datasets.get {name} --root {shlex.quote(str(root))}"

    @classmethod
    def hints(cls, root: Path) -> str:
        """What a user can do about a data set that is not there, or not whole."""
        command = cls.get_command(root)
        return (f"Get it: {command}. " if command else "") + cls.layout_hint()

    @classmethod
    def image_directory(cls, directory: Path) -> str:
        """The absolute directory that the paths in splits start from."""
        return os.path.normpath(directory / cls.image_dir)

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        """The published split, else the one rebuilt earlier, else one built from the raw data.

        A rebuilt split never gets the published one's name, so the two cannot be mistaken for
        each other, and the published file wins as soon as it is there. With `write=False` nothing
        is written. Raises DatasetError.
        """
        published = directory / cls.split_file
        if published.is_file():
            return read_split(published)
        fetch = f"{cls.split_file}: {cls.get_command(directory.parent)}"
        rebuilt = directory / cls.split_file.replace("split_zhou_", "split_rebuilt_")
        if rebuilt.is_file():
            split = read_split(rebuilt)
        else:
            try:
                split = cls.build_split(directory)
                check_labels(split, directory)
            except DatasetError as e:
                raise DatasetError(
                    f"there is no {cls.split_file}, and no split can be built from raw data: {e}"
                ) from e
            if write:
                try_write_json(split._asdict(), rebuilt, "the split is built again in every run")
        say(
            f"WARNING: {cls.__name__}: the split is rebuilt from raw data and is not the published "
            f"one: results compare with no published ones. For those, get {fetch}"
        )
        return split

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        """Build the split from the raw data; raises DatasetError if they are not there."""
        raise NotImplementedError(f"{cls.__name__} has neither build_split nor load_split")

    @classmethod
    def _data(cls, records: list[Record], image_dir: str, key: str) -> list[Datum]:
        return [cls._datum(record, image_dir, key) for record in records]

    @classmethod
    def _datum(cls, record: Record, image_dir: str, key: str) -> Datum:
        path = os.path.join(image_dir, record.path)
        # Dassl's Datum refuses a missing file too, with an assertion that names nothing.
        if not os.path.isfile(path):
            raise DatasetError(f"{cls.__name__}: missing image {path}, listed in '{key}'")
        return Datum(impath=path, label=record.label, classname=record.classname)
