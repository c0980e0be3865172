"""What people have instead of a CoOp data root, in miniature: every layout of every data set.

`LAYOUTS["torchvision/oxford_pets"](folder)` writes one into an empty folder and says what to give
to `--from`; `REFUSED` are those that cannot serve. `publish_all` makes the complete data root that
they are copies of, and `catalogue` the entries whose sums and sizes are those of that root.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from fewshot_datasets import PUBLISHED, READERS
from fewshot_datasets.get.catalogue import load_catalogue
from layouts_of_imagenet import (
    class_tars,
    flat_with_devkit,
    flat_with_packed_devkit,
    flat_with_zipped_table,
    imagenet_tars,
    kaggle_imagenet,
    renamed_tars,
)
from layouts_refused import REFUSED
from published_miniatures import V2, Builder, Laid, arrange, catalogue, pack, publish_all

__all__ = ["LAYOUTS", "REFUSED", "Laid", "catalogue", "publish_all"]

CARS = ("cars_train", "cars_test", "devkit", "cars_test_annos_withlabels.mat")
AIRCRAFT = (
    "images",
    "variants.txt",
    *(f"images_variant_{k}.txt" for k in ("train", "val", "test")),
)
SCENES = {"SUN397": "SUN397"} | {
    f"{name}.txt": f"SUN397/{name}.txt" for name in ("ClassName", "Training_01", "Testing_01")
}


def below(place: str, *pieces: str) -> dict[str, str]:
    return {piece: f"{place}/{piece}" for piece in pieces}


TORCHVISION = {
    "caltech101": below("caltech101", "101_ObjectCategories"),
    "oxford_pets": below("oxford-iiit-pet", "images", "annotations"),
    "stanford_cars": below("stanford_cars", *CARS),
    "oxford_flowers": below("flowers-102", "jpg", "imagelabels.mat"),
    "food101": below("food-101", "images"),
    "fgvc_aircraft": below("fgvc-aircraft-2013b/data", *AIRCRAFT),
    "sun397": SCENES,
    "dtd": below("dtd/dtd", "images"),
    "eurosat": below("eurosat", "2750"),
    "imagenet": {"images/train": "train", "images/val": "val"},
}
KAGGLE = {
    "stanford_cars": {c: f"{c}/{c}" for c in ("cars_train", "cars_test")},
    "caltech101": {"101_ObjectCategories": "caltech-101/caltech-101/101_ObjectCategories"},
    "eurosat": {"2750": "EuroSAT"},
    "food101": below("food-101/food-101", "images"),
    "fgvc_aircraft": below("fgvc-aircraft-2013b/fgvc-aircraft-2013b/data", *AIRCRAFT),
    "oxford_pets": {"images": "images/images", "annotations": "annotations/annotations"},
    "sun397": {"SUN397": "sun397/SUN397"},
}
# Archives as their authors have them, with what lies in each.
OFFICIAL: dict[str, dict[str, dict[str, str]]] = {
    "caltech101": {"caltech-101.zip": below("caltech-101", "101_ObjectCategories")},
    "oxford_pets": {
        "images.tar.gz": {"images": "images"},
        "annotations.tar.gz": {"annotations": "annotations"},
    },
    "stanford_cars": {
        "cars_train.tgz": {"cars_train": "cars_train"},
        "cars_test.tgz": {"cars_test": "cars_test"},
        "car_devkit.tgz": {"devkit": "devkit"},
    },
    "oxford_flowers": {"102flowers.tgz": {"jpg": "jpg"}},
    "food101": {"food-101.tar.gz": below("food-101", "images")},
    "fgvc_aircraft": {"fgvc-aircraft-2013b.tar.gz": below("fgvc-aircraft-2013b/data", *AIRCRAFT)},
    "sun397": {"SUN397.tar.gz": SCENES},
    "dtd": {"dtd-r1.0.1.tar.gz": below("dtd", "images")},
    "eurosat": {"EuroSAT.zip": {"2750": "2750"}},
    "ucf101": {"UCF-101-midframes.zip": {"UCF-101-midframes": "UCF-101-midframes"}},
    "imagenetv2": {"imagenetv2-matched-frequency.tar.gz": {V2: V2}},
    "imagenet_sketch": {"ImageNet-Sketch.zip": {"images": "sketch"}},
    "imagenet_a": {"imagenet-a.tar": {"imagenet-a": "imagenet-a"}},
    "imagenet_r": {"imagenet-r.tar": {"imagenet-r": "imagenet-r"}},
}


def _arranged(config: str, pieces: dict[str, str]) -> Builder:
    return lambda folder: Laid((config,), (arrange(config, folder, pieces),))


def official(config: str) -> Builder:
    """The trees of all archives, unpacked into one folder."""
    together = {k: v for pieces in OFFICIAL[config].values() for k, v in pieces.items()}
    return _arranged(config, together)


def official_archives(config: str) -> Builder:
    """The archives themselves; in Caltech's there is another one."""

    def build(folder: Path) -> Laid:
        for archive, pieces in OFFICIAL[config].items():
            tree = arrange(config, folder / "tree", pieces)
            if config == "caltech101":
                inner = tree / "caltech-101/101_ObjectCategories"
                pack(inner, tree / "caltech-101/101_ObjectCategories.tar.gz", inner.name)
                shutil.rmtree(inner)
            pack(tree, folder / archive)
            shutil.rmtree(tree)
        return Laid((config,), (folder,))

    return build


def coop_root(config: str) -> Builder:
    return lambda folder: Laid((config,), (publish_all(folder, (config,)),))


def coop_folder(config: str) -> Builder:
    """The data set's own folder, under a name of its owner's."""

    def build(folder: Path) -> Laid:
        made = publish_all(folder, (config,)) / READERS[config].dataset_dir
        return Laid((config,), (made.rename(folder / "mine"),))

    return build


def image_folders(config: str) -> Builder:
    """The folders of pictures themselves; for the lists of FGVC Aircraft, the lists."""

    def build(folder: Path) -> Laid:
        made = publish_all(folder, (config,)) / READERS[config].dataset_dir
        goals = [part.goal for part in load_catalogue()[config].parts if not part.optional]
        return Laid((config,), tuple(made / goal for goal in goals))

    return build


def hub_zip(config: str, around: str = "") -> Builder:
    """The zip of prompt_learning_dataset: the data set's folder at its top, or one level down."""

    def build(folder: Path) -> Laid:
        tree = publish_all(folder / "tree" / around, (config,))
        name = READERS[config].dataset_dir
        pack(folder / "tree", folder / f"{name}.zip")
        shutil.rmtree(folder / "tree")
        assert tree != folder
        return Laid((config,), (folder / f"{name}.zip",))

    return build


def linked_folders(config: str) -> Builder:
    """A data root whose folders of pictures are links to other places, and one that leads back."""

    def build(folder: Path) -> Laid:
        publish_all(folder / "elsewhere", (config,))
        made = folder / "elsewhere" / READERS[config].dataset_dir
        mine = folder / "root" / READERS[config].dataset_dir
        mine.mkdir(parents=True)
        for i, entry in enumerate(sorted(made.iterdir())):
            hidden = entry.rename(made / f"piece{i}")
            (mine / entry.name).symlink_to(hidden, target_is_directory=hidden.is_dir())
        (mine / "round").symlink_to(folder / "root", target_is_directory=True)
        return Laid((config,), (folder / "root",))

    return build


def linked_files(config: str) -> Builder:
    """A data root whose every file is a link to a store of files without suffixes."""

    def build(folder: Path) -> Laid:
        root = publish_all(folder / "root", (config,))
        (folder / "store").mkdir()
        for i, path in enumerate(sorted(p for p in root.rglob("*") if p.is_file())):
            path.symlink_to(path.rename(folder / f"store/{i}"))
        return Laid((config,), (root,))

    return build


def spread(config: str) -> Builder:
    """Every piece below a path of its own, among files that are none of it."""

    def build(folder: Path) -> Laid:
        directory = publish_all(folder / ".made", (config,)) / READERS[config].dataset_dir
        paths = []
        for i, piece in enumerate(sorted(directory.iterdir())):
            paths.append(folder / f"disk{i}")
            (paths[-1] / "old/stuff").mkdir(parents=True)
            piece.rename(paths[-1] / "old" / piece.name)
            (paths[-1] / "notes.txt").write_text("holiday")
            (paths[-1] / "old/stuff/beach.jpg").write_bytes(b"")
        shutil.rmtree(folder / ".made")
        return Laid((config,), tuple(paths))

    return build


def mixture(folder: Path) -> Laid:
    """Everything below one path: each data set in one of its layouts, each in a folder."""
    makers = {config: coop_root(config) for config in PUBLISHED}
    makers |= {config: _arranged(config, pieces) for config, pieces in TORCHVISION.items()}
    makers |= {config: official(config) for config in ("imagenet_sketch", "imagenet_a", "dtd")}
    makers |= {"imagenet": kaggle_imagenet, "ucf101": hub_zip("ucf101")}
    for config, make in makers.items():
        (folder / f"for {config}").mkdir(parents=True)
        make(folder / f"for {config}")
    return Laid(tuple(PUBLISHED), (folder,))


def _layouts() -> Iterator[tuple[str, Builder]]:
    for config in PUBLISHED:
        yield f"coop/{config}", coop_root(config)
        yield f"folder/{config}", coop_folder(config)
        yield f"images/{config}", image_folders(config)
        yield f"linked-folders/{config}", linked_folders(config)
        yield f"linked-files/{config}", linked_files(config)
        yield f"spread/{config}", spread(config)
        if config != "imagenet":
            yield f"hub/{config}", hub_zip(config)
            yield f"hub-nested/{config}", hub_zip(config, "prompt_learning_dataset")
            yield f"official/{config}", official(config)
            yield f"official-archives/{config}", official_archives(config)
    yield from ((f"torchvision/{c}", _arranged(c, p)) for c, p in TORCHVISION.items())
    yield from ((f"kaggle/{c}", _arranged(c, p)) for c, p in KAGGLE.items())
    yield "kaggle/imagenet", kaggle_imagenet
    yield "official/imagenet", flat_with_devkit
    yield "packed-devkit/imagenet", flat_with_packed_devkit
    yield "official-archives/imagenet", imagenet_tars
    yield "class-tars/imagenet", class_tars
    yield "zipped-table/imagenet", flat_with_zipped_table
    yield "renamed-tars/imagenet", renamed_tars
    yield "mixture/all", mixture


LAYOUTS: dict[str, Builder] = dict(_layouts())
