"""Every data set's directory in miniature: generated images, raw annotations in their real formats.

`build(config, root)` writes what a user has after unpacking the official archives, without a split
file; files are named as the real ones are. Class folders hold ten images, of which a rebuilt
50 / 20 / 30 split takes 5, 2 and 3.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
from fewshot_datasets import READERS
from fewshot_datasets.splits import Split, write_split
from PIL import Image
from scipy.io import savemat

SYNSETS = {"n02000003": "crane", "n01000001": "tench", "n03000002": "great white shark"}


def build(config: str, root: Path) -> Path:
    """Write the miniature of a data set below `root` and return its directory."""
    return BUILDERS[config](root)


def publish(config: str, directory: Path) -> Split:
    """Write the "published" split of a miniature: the rebuilt one with every list reversed."""
    reader = READERS[config]
    split = Split(*(records[::-1] for records in reader.build_split(directory)))
    write_split(split, directory / reader.split_file)
    return split


@cache
def image_bytes(suffix: str, shade: int) -> bytes:
    stream = io.BytesIO()
    picture = Image.new("RGB", (8, 6), (shade, 255 - shade, 128))
    picture.save(stream, {"jpeg": "JPEG", "jpg": "JPEG", "png": "PNG"}[suffix.lower()])
    return stream.getvalue()


def write_images(directory: Path, names: Iterable[str]) -> None:
    for i, name in enumerate(names):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(path.suffix[1:], 16 * (i % 16)))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def class_folders(
    directory: Path, folders: Iterable[str], form: str = "{folder}_{i:04d}.jpg"
) -> None:
    for folder in folders:
        write_images(directory / folder, [form.format(folder=folder, i=i) for i in range(1, 11)])
    (directory / ".DS_Store").write_text("not a class")


def caltech101(root: Path) -> Path:
    directory = root / "caltech-101"
    class_folders(
        directory / "101_ObjectCategories",
        ["BACKGROUND_Google", "Faces", "Faces_easy", "Leopards", "accordion", "airplanes"],
        "image_{i:04d}.jpg",
    )
    return directory


def oxford_pets(root: Path) -> Path:
    directory = root / "oxford_pets"
    breeds = {"Abyssinian": 1, "american_bulldog": 2, "Bengal": 3}
    for file, first, last in (("trainval", 1, 10), ("test", 101, 103)):
        stems = [(b, f"{b}_{i}") for b in breeds for i in range(first, last + 1)]
        write_lines(
            directory / "annotations" / f"{file}.txt",
            [f"{stem} {breeds[breed]} 1 {breeds[breed]}" for breed, stem in stems],
        )
        write_images(directory / "images", [f"{stem}.jpg" for _, stem in stems])
    return directory


def stanford_cars(root: Path) -> Path:
    directory = root / "stanford_cars"
    (directory / "devkit").mkdir(parents=True)
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "smart fortwo Convertible 2012"]
    savemat(
        directory / "devkit" / "cars_meta.mat",
        {"class_names": np.array([names], dtype=object)},
    )
    for file, folder, per_class in (
        ("devkit/cars_train_annos.mat", "cars_train", 10),
        ("cars_test_annos_withlabels.mat", "cars_test", 3),
    ):
        annotations = np.zeros(
            (1, 3 * per_class), [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
        )
        for i in range(3 * per_class):
            annotations[0, i] = (39, i % 3 + 1, f"{i + 1:05d}.jpg")
        savemat(directory / file, {"annotations": annotations})
        write_images(directory / folder, [str(a["fname"]) for a in annotations[0]])
    return directory


def oxford_flowers(root: Path) -> Path:
    directory = root / "oxford_flowers"
    labels = [3] * 10 + [1] * 10 + [2] * 10
    write_images(directory / "jpg", [f"image_{i:05d}.jpg" for i in range(1, 31)])
    savemat(directory / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    names = {"1": "pink primrose", "2": "hard-leaved pocket orchid", "3": "canterbury bells"}
    (directory / "cat_to_name.json").write_text(json.dumps(names))
    return directory


def food101(root: Path) -> Path:
    dishes = ["apple_pie", "baklava", "waffles"]
    class_folders(root / "food-101" / "images", dishes, "10{i}347.jpg")
    return root / "food-101"


def fgvc_aircraft(root: Path) -> Path:
    directory = root / "fgvc_aircraft"
    variants = ["707-320", "DHC-8-100", "F/A-18", "Challenger 600"]
    write_lines(directory / "variants.txt", variants)
    for start, (key, per_class) in enumerate((("train", 5), ("val", 5), ("test", 3))):
        lines = [
            (f"{start}{label}{i:05d}", variant)
            for i in range(per_class)
            for label, variant in enumerate(variants)
        ]
        write_lines(directory / f"images_variant_{key}.txt", [" ".join(line) for line in lines])
        write_images(directory / "images", [f"{stem}.jpg" for stem, _ in lines])
    return directory


def sun397(root: Path) -> Path:
    directory = root / "sun397"
    scenes = ["/a/abbey", "/a/apartment_building/outdoor", "/b/bank_vault"]
    write_lines(directory / "ClassName.txt", scenes)
    for file, first, last in (("Training_01", 0, 10), ("Testing_01", 10, 13)):
        images = [f"{scene}/sun_{i:03d}.jpg" for scene in scenes for i in range(first, last)]
        write_lines(directory / f"{file}.txt", images)
        write_images(directory / "SUN397", [image[1:] for image in images])
    return directory


def dtd(root: Path) -> Path:
    class_folders(root / "dtd" / "images", ["banded", "polka-dotted", "zigzagged"])
    return root / "dtd"


def eurosat(root: Path) -> Path:
    class_folders(
        root / "eurosat" / "2750",
        ["AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial"]
        + ["Pasture", "PermanentCrop", "Residential", "River", "SeaLake"],
        "{folder}_{i}.jpg",
    )
    return root / "eurosat"


def ucf101(root: Path) -> Path:
    directory = root / "ucf101"
    lists = directory / "ucfTrainTestlist"
    # The real lists spell one action's videos unlike the action.
    actions = {
        "ApplyEyeMakeup": "Apply_Eye_Makeup/v_ApplyEyeMakeup",
        "HandstandPushups": "Handstand_Pushups/v_HandStandPushups",
        "YoYo": "Yo_Yo/v_YoYo",
    }
    write_lines(lists / "classInd.txt", [f"{i} {a}" for i, a in enumerate(actions, start=1)])
    for file, groups, labelled in (
        ("trainlist01", range(8, 18), True),
        ("testlist01", range(3), False),
    ):
        lines = []
        for number, (action, prefix) in enumerate(actions.items(), start=1):
            video = prefix.partition("/")[2]
            for g in groups:
                label = f" {number}" if labelled else ""
                lines.append(f"{action}/{video}_g{g:02d}_c01.avi{label}")
                write_images(directory / "UCF-101-midframes", [f"{prefix}_g{g:02d}_c01.jpg"])
        write_lines(lists / f"{file}.txt", lines)
    return directory


def write_classnames(directory: Path) -> None:
    write_lines(directory / "classnames.txt", [f"{wnid} {name}" for wnid, name in SYNSETS.items()])


def imagenet(root: Path) -> Path:
    directory = root / "imagenet"
    for label, wnid in enumerate(SYNSETS):
        write_images(directory / "images/train" / wnid, [f"{wnid}_{i}.JPEG" for i in range(6)])
        numbers = [1 + label + i * len(SYNSETS) for i in range(3)]
        write_images(
            directory / "images/val" / wnid, [f"ILSVRC2012_val_{n:08d}.JPEG" for n in numbers]
        )
    write_classnames(directory)
    return directory


def imagenetv2(root: Path) -> Path:
    directory = root / "imagenetv2"
    for number in range(len(SYNSETS)):
        folder = directory / "imagenetv2-matched-frequency-format-val" / str(number)
        write_images(folder, [f"{i:x}.jpeg" for i in range(2)])
    write_classnames(directory)
    return directory


def imagenet_sketch(root: Path) -> Path:
    return _variant(root / "imagenet-sketch", "images", list(SYNSETS), "sketch_{i}.JPEG")


def imagenet_a(root: Path) -> Path:
    form = "0.00{i}116_digital clock _ digital clock_0.8656{i}.jpg"
    return _variant(root / "imagenet-adversarial", "imagenet-a", ["n03000002", "n02000003"], form)


def imagenet_r(root: Path) -> Path:
    synsets = ["n03000002", "n02000003"]
    return _variant(root / "imagenet-rendition", "imagenet-r", synsets, "art_{i}.jpg")


def _variant(directory: Path, images: str, synsets: list[str], form: str) -> Path:
    for wnid in synsets:
        write_images(directory / images / wnid, [form.format(i=i) for i in range(2)])
    (directory / images / "README.txt").write_text("about these images")
    write_classnames(directory)
    return directory


BUILDERS: dict[str, Callable[[Path], Path]] = {
    builder.__name__: builder
    for builder in (
        imagenet,
        caltech101,
        oxford_pets,
        stanford_cars,
        oxford_flowers,
        food101,
        fgvc_aircraft,
        sun397,
        dtd,
        eurosat,
        ucf101,
        imagenetv2,
        imagenet_sketch,
        imagenet_a,
        imagenet_r,
    )
}
