"""ImageNet (ILSVRC 2012): 1,000 classes; the validation images are the test set.

    imagenet/
        classnames.txt                  lines of WordNet id and name
        images/train/                   n01440764/n01440764_10026.JPEG, ...
        images/val/                     n01440764/ILSVRC2012_val_00000293.JPEG, ...
        preprocessed.pkl                optional: the image lists of an earlier run of the ecosystem

Few-shot picks depend on the order of the files in a folder. The original repositories take it
from the file system and keep it in `preprocessed.pkl`; where that file is there and made under
this root, its order is used. Otherwise files are sorted: the same picks on every machine, but not
those that the originals would make there.

`val` is `test`, so nothing may be selected on it.
"""

from __future__ import annotations

from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, list_class, list_folders, read_lines, say
from .legacy import StaleCache, read_pickle
from .splits import Record, Split, check_labels


@DATASET_REGISTRY.register()
class ImageNet(FewShotDataset):
    dataset_dir = "imagenet"
    published_sizes = (1281167, 50000, 50000)
    val_is_test = True

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        images = Path(cls.image_directory(directory))
        pickled = directory / "preprocessed.pkl"
        if pickled.is_file():
            try:
                lists = read_pickle(pickled, str(images))
                if not {"train", "test"} <= lists.keys():
                    raise StaleCache("it has no lists 'train' and 'test'")
                split = Split(lists["train"], [], lists["test"])
                check_labels(split, pickled)
                say(f"{cls.__name__}: image lists and class names are those of {pickled}")
                return split
            except StaleCache as e:
                say(f"{cls.__name__}: {pickled} does not fit and is not used: {e}")
        names = read_classnames(directory / "classnames.txt")
        differing = set(list_folders(images / "train")) ^ set(list_folders(images / "val"))
        if differing:
            raise DatasetError(
                f"{images}: the class folder {min(differing)} is not in both train and val"
            )
        train, test = (read_synsets(images, key, names) for key in ("train", "val"))
        split = Split(train, [], test)
        check_labels(split, images)
        return split


class ImageNetVariant(FewShotDataset):
    """A test set for classes of ImageNet, in WordNet-id folders; its labels are its own."""

    test_only = True

    @classmethod
    def load_split(cls, directory: Path, write: bool = True) -> Split:
        names = read_classnames(directory / "classnames.txt")
        images = directory / cls.image_dir
        test = cls.read_images(images, names)
        split = Split(test, [], test)
        check_labels(split, images)
        return split

    @classmethod
    def read_images(cls, images: Path, names: dict[str, str]) -> list[Record]:
        """Every image of the data set; `names` maps WordNet ids to names."""
        return read_synsets(images, "", names)


def read_classnames(path: Path) -> dict[str, str]:
    """WordNet id -> name, in the order of the file."""
    names: dict[str, str] = {}
    for line in read_lines(path):
        synset, _, name = line.partition(" ")
        if not name or synset in names:
            raise DatasetError(f"{path}: {line!r} is not a new 'WordNet-id name'")
        names[synset] = name
    return names


def read_synsets(images: Path, below: str, names: dict[str, str]) -> list[Record]:
    """All images of `images/below`; labels are the ranks of its sorted WordNet-id folders."""
    records = []
    for label, synset in enumerate(list_folders(images / below)):
        if synset not in names:
            raise DatasetError(f"{images / below}: the folder {synset} is not in classnames.txt")
        prefix = f"{below}/{synset}" if below else synset
        records += [
            Record(f"{prefix}/{file}", label, names[synset])
            for file in list_class(images / below / synset)
        ]
    return records
