"""UCF101: 101 human actions, as the middle frames of videos.

ucf101/
    UCF-101-midframes/              Apply_Eye_Makeup/v_ApplyEyeMakeup_g01_c01.jpg, ...
    split_zhou_UCF101.json          the published split
    ucfTrainTestlist/               only to rebuild a missing split:
        classInd.txt  trainlist01.txt  testlist01.txt
"""

from __future__ import annotations

import re
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from .base import FewShotDataset
from .files import DatasetError, read_lines
from .splits import Record, Split, split_trainval


@DATASET_REGISTRY.register()
class UCF101(FewShotDataset):
    dataset_dir = "ucf101"
    image_dir = "UCF-101-midframes"
    split_file = "split_zhou_UCF101.json"
    published_sizes = (7639, 1898, 3783)

    @classmethod
    def build_split(cls, directory: Path) -> Split:
        lists = directory / "ucfTrainTestlist"
        labels = read_labels(lists / "classInd.txt")
        return split_trainval(
            read_list(lists / "trainlist01.txt", labels),
            read_list(lists / "testlist01.txt", labels),
        )


def read_labels(path: Path) -> dict[str, int]:
    """Lines of class id from 1 and action."""
    labels = {}
    for line in read_lines(path):
        number, _, action = line.partition(" ")
        if not (number.isdigit() and action):
            raise DatasetError(f"{path}: {line!r} is not 'number action'")
        labels[action] = int(number) - 1
    return labels


def read_list(path: Path, labels: dict[str, int]) -> list[Record]:
    """Lines such as `ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`; the number is not used."""
    records = []
    for line in read_lines(path):
        action, _, video = line.split(" ")[0].partition("/")
        if action not in labels:
            raise DatasetError(f"{path}: {line!r} is of an action that is not in classInd.txt")
        name = readable(action)
        image = f"{name}/{video.removesuffix('.avi')}.jpg"
        records.append(Record(image, labels[action], name))
    return records


def readable(action: str) -> str:
    """`ApplyEyeMakeup` -> `Apply_Eye_Makeup`."""
    return "_".join(re.findall("[A-Z][^A-Z]*", action))
