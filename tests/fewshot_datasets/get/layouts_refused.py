"""What people have that looks like a data set and cannot serve."""

from __future__ import annotations

import shutil
from pathlib import Path

from published_miniatures import V2, Builder, Laid, arrange


def by_classes(config: str, pieces: dict[str, str], classes: tuple[str, ...]) -> Builder:
    """The pictures of the first piece in folders of their classes, under numbers of their own."""

    def build(folder: Path) -> Laid:
        tree = arrange(config, folder / ".made", pieces)
        pictures = sorted(path for path in tree.rglob("*") if path.suffix == ".jpg")
        for i, picture in enumerate(pictures):
            place = folder / "train" / classes[i % len(classes)] / f"picture{i}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            picture.rename(place)
        shutil.rmtree(tree)
        return Laid((config,), (folder,))

    return build


def renamed(config: str, pieces: dict[str, str], suffix: str) -> Builder:
    """Every picture with another suffix."""

    def build(folder: Path) -> Laid:
        for path in list(arrange(config, folder, pieces).rglob("*.[jJ]*")):
            path.rename(path.with_suffix(suffix))
        return Laid((config,), (folder,))

    return build


def _together(folder: Path) -> Laid:
    tree = arrange("stanford_cars", folder, {"cars_train": "car_ims"}) / "car_ims"
    for path in list(tree.iterdir()):
        path.rename(path.with_stem(f"0{path.stem}"))
    return Laid(("stanford_cars",), (folder,))


def _videos(folder: Path) -> Laid:
    (folder / "UCF-101/ApplyEyeMakeup").mkdir(parents=True)
    (folder / "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi").write_bytes(b"RIFF")
    return Laid(("ucf101",), (folder,))


# What cannot serve, and words of the reason.
REFUSED: dict[str, tuple[Builder, str]] = {
    "by-classes/stanford_cars": (
        by_classes(
            "stanford_cars",
            {"cars_train": "cars_train"},
            ("AM General Hummer SUV 2000", "Acura RL Sedan 2012"),
        ),
        "its folders are classes",
    ),
    "together/stanford_cars": (
        _together,
        "training and testing together",
    ),
    "by-classes/sun397": (
        by_classes("sun397", {"SUN397": "SUN397"}, ("abbey", "bank_vault")),
        "another division",
    ),
    "by-classes/oxford_pets": (
        by_classes("oxford_pets", {"images": "images"}, ("Abyssinian", "Bengal")),
        "its folders are classes",
    ),
    "by-classes/fgvc_aircraft": (
        by_classes("fgvc_aircraft", {"images": "images"}, ("707-320", "A300B4")),
        "its folders are classes",
    ),
    "by-classes/food101": (
        by_classes("food101", {"images": "images"}, ("apple_pie", "waffles")),
        "its pictures have other names",
    ),
    "multispectral/eurosat": (
        renamed("eurosat", {"2750": "EuroSATallBands"}, ".tif"),
        "multispectral",
    ),
    "smaller/imagenet": (
        renamed("imagenet", {"images/train": "train"}, ".jpg"),
        "no .JPEG files",
    ),
    "videos/ucf101": (_videos, "videos"),
    "other-selection/imagenetv2": (
        lambda folder: Laid(
            ("imagenetv2",),
            (arrange("imagenetv2", folder, {V2: "imagenetv2-top-images-format-val"}),),
        ),
        "another of the three selections",
    ),
}
