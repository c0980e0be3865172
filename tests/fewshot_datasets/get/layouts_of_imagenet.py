"""ImageNet as people have it: its validation pictures in one heap, its archives of archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import miniature
import numpy as np
from published_miniatures import Laid, arrange, pack
from scipy.io import savemat


def write_devkit(folder: Path) -> Path:
    """The devkit's two files that say the classes; their numbers are not in sorted order."""
    data = folder / "data"
    data.mkdir(parents=True)
    wnids = [*miniature.SYNSETS, "n00001740"]  # the last is a group of classes
    synsets = np.zeros((len(wnids), 1), [(f, "O") for f in SYNSET_FIELDS])
    for i, wnid in enumerate(wnids):
        synsets[i, 0] = (i + 1, wnid, "words", 0 if i < len(miniature.SYNSETS) else 3)
    savemat(data / "meta.mat", {"synsets": synsets})
    truth = [i % len(miniature.SYNSETS) + 1 for i in range(3 * len(miniature.SYNSETS))]
    miniature.write_lines(data / "ILSVRC2012_validation_ground_truth.txt", map(str, truth))
    return folder


SYNSET_FIELDS = ("ILSVRC2012_ID", "WNID", "words", "num_children")


def write_table(path: Path) -> Path:
    """Kaggle's table: the class of each picture, and boxes."""
    wnids = list(miniature.SYNSETS)
    pictures = range(3 * len(wnids))
    lines = [
        f"ILSVRC2012_val_{i + 1:08d},{wnids[i % len(wnids)]} 85 1 499 272 " for i in pictures[::-1]
    ]
    miniature.write_lines(path, ["ImageId,PredictionString", *lines])
    return path


def flat_imagenet(folder: Path, train: str, val: str) -> Path:
    """ImageNet with the pictures of `val` in one heap."""
    arrange("imagenet", folder, {"images/train": train, "images/val": val})
    for path in list((folder / val).glob("*/*")):
        path.rename(folder / val / path.name)
    for path in [p for p in (folder / val).iterdir() if p.is_dir()]:
        path.rmdir()
    return folder


def kaggle_imagenet(folder: Path) -> Laid:
    flat_imagenet(folder, "ILSVRC/Data/CLS-LOC/train", "ILSVRC/Data/CLS-LOC/val")
    (folder / "ILSVRC/Annotations/CLS-LOC/val").mkdir(parents=True)
    (folder / "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml").write_text("<a/>")
    write_table(folder / "LOC_val_solution.csv")
    return Laid(("imagenet",), (folder,))


def flat_with_devkit(folder: Path) -> Laid:
    flat_imagenet(folder, "train", "val")
    write_devkit(folder / "ILSVRC2012_devkit_t12")
    return Laid(("imagenet",), (folder,))


def flat_with_packed_devkit(folder: Path) -> Laid:
    """The devkit in its archive, below another path."""
    flat_imagenet(folder / "pictures", "train", "val")
    _pack_devkit(folder / "ILSVRC2012_devkit_t12.tar.gz")
    return Laid(("imagenet",), (folder / "pictures", folder / "ILSVRC2012_devkit_t12.tar.gz"))


def flat_with_zipped_table(folder: Path) -> Laid:
    """Pictures in folders, and the table in an archive."""
    flat_imagenet(folder, "train", "val")
    (folder / "tables").mkdir()
    write_table(folder / "tables/LOC_val_solution.csv")
    pack(folder / "tables", folder / "tables.zip")
    shutil.rmtree(folder / "tables")
    return Laid(("imagenet",), (folder,))


def renamed_tars(folder: Path) -> Laid:
    """The official archives under the names of a download manager."""
    laid = imagenet_tars(folder)
    for name in ("train.tar", "val.tar"):
        (folder / f"ILSVRC2012_img_{name}").rename(folder / f"download {name}.1")
    (folder / "ILSVRC2012_devkit_t12.tar.gz").rename(folder / "download.zzz")
    return laid


def _pack_devkit(archive: Path) -> None:
    tree = archive.parent / "devkit"
    pack(write_devkit(tree), archive, "ILSVRC2012_devkit_t12")
    shutil.rmtree(tree)


def imagenet_tars(folder: Path) -> Laid:
    """As image-net.org has it: a tar of a tar for each class, a flat tar, the devkit."""
    tree = flat_imagenet(folder / "tree", "train", "val")
    pack_classes(tree / "train")
    pack(tree / "train", folder / "ILSVRC2012_img_train.tar")
    pack(tree / "val", folder / "ILSVRC2012_img_val.tar")
    shutil.rmtree(tree)
    _pack_devkit(folder / "ILSVRC2012_devkit_t12.tar.gz")
    return Laid(("imagenet",), (folder,))


def pack_classes(train: Path) -> None:
    for wnid in miniature.SYNSETS:
        pack(train / wnid, train / f"{wnid}.tar")
        shutil.rmtree(train / wnid)


def class_tars(folder: Path) -> Laid:
    """A folder of one tar for each class, and `val` sorted already."""
    arrange("imagenet", folder, {"images/train": "train", "images/val": "val"})
    pack_classes(folder / "train")
    return Laid(("imagenet",), (folder,))
