"""The fifteen readers on miniatures: classes, splits, halves and picks."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import miniature
import pytest
import yaml
from dassl.data.datasets import DATASET_REGISTRY
from fewshot_datasets import PUBLISHED, READERS
from fewshot_datasets.fewshot import sample

CONFIGS = Path(__file__).parents[2] / "configs" / "datasets"

# Class names by label, and the number of images in train, val, test, of each raw miniature.
EXPECTED = {
    "imagenet": (["tench", "crane", "great white shark"], (18, 9, 9)),
    "caltech101": (["face", "leopard", "accordion", "airplane"], (20, 8, 12)),
    "oxford_pets": (["abyssinian", "american_bulldog", "bengal"], (24, 6, 9)),
    "stanford_cars": (
        ["2000 AM General Hummer SUV", "2012 Acura RL Sedan", "2012 smart fortwo Convertible"],
        (24, 6, 9),
    ),
    "oxford_flowers": (
        ["pink primrose", "hard-leaved pocket orchid", "canterbury bells"],
        (15, 6, 9),
    ),
    "food101": (["apple_pie", "baklava", "waffles"], (15, 6, 9)),
    "fgvc_aircraft": (["707-320", "DHC-8-100", "F/A-18", "Challenger 600"], (20, 20, 12)),
    "sun397": (["abbey", "outdoor apartment_building", "bank_vault"], (24, 6, 9)),
    "dtd": (["banded", "polka-dotted", "zigzagged"], (15, 6, 9)),
    "eurosat": (
        ["Annual Crop Land", "Forest", "Herbaceous Vegetation Land", "Highway or Road"]
        + ["Industrial Buildings", "Pasture Land", "Permanent Crop Land"]
        + ["Residential Buildings", "River", "Sea or Lake"],
        (50, 20, 30),
    ),
    "ucf101": (["Apply_Eye_Makeup", "Handstand_Pushups", "Yo_Yo"], (24, 6, 9)),
    "imagenetv2": (["crane", "tench", "great white shark"], (6, 0, 6)),
    "imagenet_sketch": (["tench", "crane", "great white shark"], (6, 0, 6)),
    "imagenet_a": (["crane", "great white shark"], (4, 0, 4)),
    "imagenet_r": (["crane", "great white shark"], (4, 0, 4)),
}
WITH_SPLIT_FILE = [config for config in PUBLISHED if READERS[config].split_file]


def test_every_published_data_set_has_a_reader_a_config_and_a_miniature():
    assert list(EXPECTED) == list(PUBLISHED) == list(miniature.BUILDERS)
    for config, name in {**PUBLISHED, "image_folder": "ImageFolder"}.items():
        assert yaml.safe_load((CONFIGS / f"{config}.yaml").read_text()) == {
            "DATASET": {"NAME": name}
        }
        assert DATASET_REGISTRY.get(name) is READERS[config]


@pytest.mark.parametrize("config", EXPECTED)
def test_raw_data_give_the_classes_and_sizes(config, every_data_set):
    reader = READERS[config]
    split = reader.load_split(reader.directory(str(every_data_set)), write=False)
    classnames, sizes = EXPECTED[config]
    assert dict(sorted({r.label: r.classname for r in split.train}.items())) == dict(
        enumerate(classnames)
    )
    val = split.test if reader.val_is_test else split.val
    assert (len(split.train), len(val), len(split.test)) == sizes


@pytest.mark.parametrize("config", EXPECTED)
def test_no_image_is_in_two_lists_and_each_is_of_its_class(config, every_data_set):
    reader = READERS[config]
    split = reader.load_split(reader.directory(str(every_data_set)), write=False)
    lists = [split.test] if reader.test_only else split
    paths = Counter(r.path for records in lists for r in records)
    assert max(paths.values()) == 1
    assert len(set(split.test) & set(split.train)) == (len(split.test) if reader.test_only else 0)


@pytest.mark.parametrize("config", EXPECTED)
def test_a_reader_serves_existing_absolute_paths(config, tmp_path, load):
    miniature.build(config, tmp_path)
    dataset = load(config, tmp_path)
    classnames, (train, val, test) = EXPECTED[config]
    assert dataset.classnames == classnames
    assert dataset.num_classes == len(classnames)
    assert dataset.lab2cname == dict(enumerate(classnames))
    assert (len(dataset.train_x), len(dataset.val or ()), len(dataset.test)) == (train, val, test)
    assert all(Path(d.impath).is_absolute() and Path(d.impath).is_file() for d in dataset.test)
    assert dataset.train_u is None


def test_labels_come_from_the_annotations(every_data_set):
    def labels(config: str) -> dict[str, int]:
        reader = READERS[config]
        split = reader.load_split(reader.directory(str(every_data_set)), write=False)
        return {r.path: r.label for records in split for r in records}

    assert labels("stanford_cars")["cars_test/00002.jpg"] == 1
    assert labels("oxford_flowers")["image_00001.jpg"] == 2
    assert labels("fgvc_aircraft")["0200000.jpg"] == 2
    assert labels("sun397")["a/apartment_building/outdoor/sun_011.jpg"] == 1
    assert labels("ucf101")["Handstand_Pushups/v_HandStandPushups_g08_c01.jpg"] == 1
    assert labels("imagenetv2")["0/0.jpeg"] == 0
    assert labels("imagenet_r")["n02000003/art_0.jpg"] == 0
    assert labels("caltech101")["airplanes/image_0001.jpg"] == 3


@pytest.mark.parametrize("config", WITH_SPLIT_FILE)
def test_the_published_split_is_read_as_it_is(config, tmp_path, load, capsys):
    published = miniature.publish(config, miniature.build(config, tmp_path))
    random.seed(0)
    state = random.getstate()
    dataset = load(config, tmp_path)
    images = Path(dataset.dataset_dir) / READERS[config].image_dir
    assert [Path(d.impath).relative_to(images).as_posix() for d in dataset.train_x] == [
        r.path for r in published.train
    ]
    assert random.getstate() == state
    assert "published" not in capsys.readouterr().out


@pytest.mark.parametrize("config", WITH_SPLIT_FILE)
def test_a_rebuilt_split_is_announced_and_never_takes_the_published_name(
    config, tmp_path, load, capsys
):
    directory = miniature.build(config, tmp_path)
    reader = READERS[config]
    for _ in range(2):  # built, then read
        load(config, tmp_path)
        out = capsys.readouterr().out
        assert "WARNING" in out and "not the published one" in out
        assert reader.split_file in out and reader.get_command(tmp_path) in out
    assert not (directory / reader.split_file).exists()
    assert (directory / reader.split_file.replace("zhou", "rebuilt")).is_file()


def test_a_rebuilt_split_does_not_depend_on_the_seed_of_the_run(tmp_path, load):
    for root, seed in ((tmp_path / "one", 1), (tmp_path / "two", 2)):
        miniature.build("oxford_pets", root)
        load("oxford_pets", root, shots=2, seed=seed)
    name = "oxford_pets/split_rebuilt_OxfordPets.json"
    assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


@pytest.mark.parametrize("config", ["caltech101", "imagenet"])
def test_the_file_systems_order_does_not_matter(config, every_data_set, monkeypatch):
    reader = READERS[config]
    directory = reader.directory(str(every_data_set))
    expected = reader.load_split(directory, write=False)
    in_some_order = os.listdir

    def in_reverse(path):
        return sorted(in_some_order(path), reverse=True)

    monkeypatch.setattr(os, "listdir", in_reverse)
    assert reader.load_split(directory, write=False) == expected


def test_the_published_split_wins_over_a_rebuilt_one(tmp_path, load):
    directory = miniature.build("oxford_pets", tmp_path)
    load("oxford_pets", tmp_path)
    published = miniature.publish("oxford_pets", directory)
    assert READERS["oxford_pets"].load_split(directory) == published


@pytest.mark.parametrize("config", [c for c in EXPECTED if not READERS[c].test_only])
def test_halves_divide_the_classes_and_are_numbered_from_zero(config, tmp_path, load):
    miniature.build(config, tmp_path)
    classnames, _ = EXPECTED[config]
    half = (len(classnames) + 1) // 2
    base, new = (load(config, tmp_path, 1, 1, subset) for subset in ("base", "new"))
    assert (base.classnames, new.classnames) == (classnames[:half], classnames[half:])
    for dataset in (base, new):
        assert {d.label for d in dataset.test} == set(range(dataset.num_classes))


@pytest.mark.parametrize("config", [c for c in EXPECTED if not READERS[c].test_only])
def test_few_shot_picks_are_the_samplers_train_first_then_val(config, tmp_path, load):
    directory = miniature.build(config, tmp_path)
    if READERS[config].split_file:
        miniature.publish(config, directory)
    dataset = load(config, tmp_path, shots=5, seed=3)
    split = READERS[config].load_split(directory)
    random.seed(3)
    train, val = sample(split.train, 5), sample(split.val, 4)
    images = READERS[config].image_directory(directory)
    assert [d.impath for d in dataset.train_x] == [f"{images}/{r.path}" for r in train]
    if not READERS[config].val_is_test:
        assert [d.impath for d in dataset.val] == [f"{images}/{r.path}" for r in val]
    assert len(dataset.test) == len(split.test)


@pytest.mark.parametrize("config", [c for c in EXPECTED if READERS[c].test_only])
def test_shots_and_subset_have_no_effect_on_the_imagenet_variants(config, tmp_path, load):
    directory = miniature.build(config, tmp_path)
    dataset = load(config, tmp_path, shots=1, seed=1, subset="new")
    assert dataset.train_x is dataset.test
    assert len(dataset.test) == EXPECTED[config][1][2]
    assert not (directory / "split_fewshot").exists()


def test_imagenet_val_is_its_test(tmp_path, load):
    miniature.build("imagenet", tmp_path)
    dataset = load("imagenet", tmp_path, shots=2, seed=1)
    assert dataset.val is dataset.test
    assert all("/images/val/" in d.impath for d in dataset.test)
    assert len(dataset.train_x) == 6


def test_a_tilde_in_the_root_is_the_home_directory(pets, load, monkeypatch):
    monkeypatch.setenv("HOME", str(pets))
    assert load("oxford_pets", Path("~")).dataset_dir == str(pets / "oxford_pets")


def test_a_config_without_the_subset_key_reads_all_classes(pets):
    from yacs.config import CfgNode

    cfg = CfgNode({"SEED": -1, "DATASET": {"ROOT": str(pets), "NUM_SHOTS": -1}})
    assert READERS["oxford_pets"](cfg).num_classes == 3


def test_published_sizes_are_those_of_the_whole_data_sets():
    totals = {config: sum(READERS[config].published_sizes or ()) for config in WITH_SPLIT_FILE}
    assert totals == {
        "caltech101": 8242,
        "oxford_pets": 7349,
        "stanford_cars": 16185,
        "oxford_flowers": 8189,
        "food101": 101000,
        "sun397": 39700,
        "dtd": 5640,
        "eurosat": 27000,
        "ucf101": 13320,
    }
