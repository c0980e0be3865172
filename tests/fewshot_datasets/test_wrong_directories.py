"""Each way in which a data set's directory can be wrong gets an error that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest
from fewshot_datasets import PUBLISHED, READERS, DatasetError


@pytest.mark.parametrize("config", PUBLISHED)
def test_a_missing_directory_is_named_with_what_gets_it_and_its_layout(config, tmp_path, load):
    with pytest.raises(DatasetError, match=f"pydoc fewshot_datasets.{config}") as e:
        load(config, tmp_path)
    assert f"python -m fewshot_datasets.get {config} --root {tmp_path}" in str(e.value)
    assert str(tmp_path / READERS[config].dataset_dir) in str(e.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", [c for c in PUBLISHED if READERS[c].image_dir != "."])
def test_a_missing_image_directory_is_named(config, tmp_path, load):
    reader = READERS[config]
    (tmp_path / reader.dataset_dir).mkdir()
    with pytest.raises(DatasetError, match=f"missing directory: .*{reader.image_dir}"):
        load(config, tmp_path)


def test_a_missing_image_is_named_with_what_gets_it(pets, load):
    image = next((pets / "oxford_pets/images").iterdir())
    image.unlink()
    with pytest.raises(DatasetError, match=f"missing image {image}") as e:
        load("oxford_pets", pets)
    assert READERS["oxford_pets"].get_command(pets) in str(e.value)


# A raw annotation file of each data set that needs one.
ANNOTATIONS = {
    "oxford_pets": "annotations/test.txt",
    "stanford_cars": "devkit/cars_meta.mat",
    "oxford_flowers": "cat_to_name.json",
    "fgvc_aircraft": "images_variant_val.txt",
    "sun397": "Testing_01.txt",
    "ucf101": "ucfTrainTestlist/classInd.txt",
    "imagenet": "classnames.txt",
    "imagenetv2": "classnames.txt",
    "imagenet_sketch": "classnames.txt",
    "imagenet_a": "classnames.txt",
    "imagenet_r": "classnames.txt",
}


@pytest.mark.parametrize(("config", "file"), ANNOTATIONS.items())
def test_a_missing_annotation_file_is_named(config, file, tmp_path, load):
    directory = miniature.build(config, tmp_path)
    (directory / file).unlink()
    with pytest.raises(DatasetError) as e:
        load(config, tmp_path)
    assert str(directory / file) in str(e.value)
    if READERS[config].split_file:
        assert READERS[config].get_command(tmp_path) in str(e.value)


@pytest.mark.parametrize(
    ("config", "file", "content"),
    [
        ("oxford_pets", "annotations/trainval.txt", "Abyssinian_1"),
        ("oxford_pets", "annotations/trainval.txt", "Abyssinian_1 one 1 1"),
        ("stanford_cars", "devkit/cars_train_annos.mat", "not a MATLAB file"),
        ("oxford_flowers", "cat_to_name.json", '{"1": "pink primrose"}'),
        ("fgvc_aircraft", "images_variant_train.txt", "1234567 Concorde"),
        ("sun397", "Training_01.txt", "/z/zoo/sun_1.jpg"),
        ("ucf101", "ucfTrainTestlist/classInd.txt", "ApplyEyeMakeup"),
        ("ucf101", "ucfTrainTestlist/trainlist01.txt", "Juggling/v_Juggling_g01_c01.avi 1"),
        ("imagenet", "classnames.txt", "n01000001"),
        ("imagenet_r", "classnames.txt", "n99999999 unicorn"),
    ],
)
def test_a_malformed_annotation_is_refused_with_the_file(config, file, content, tmp_path, load):
    directory = miniature.build(config, tmp_path)
    (directory / file).write_text(content)
    with pytest.raises(DatasetError, match=Path(file).name):
        load(config, tmp_path)


def test_a_missing_image_is_named_with_data_set_and_list(pets, load):
    victim = pets / "oxford_pets" / "images" / "Bengal_101.jpg"
    victim.unlink()
    with pytest.raises(DatasetError, match=r"OxfordPets: .*Bengal_101\.jpg, listed in 'test'"):
        load("oxford_pets", pets)


def test_imagenet_validates_that_train_and_val_have_the_same_classes(tmp_path, load):
    directory = miniature.build("imagenet", tmp_path)
    (directory / "images/val/n01000001").rename(directory / "images/val/n01000009")
    with pytest.raises(DatasetError, match="n01000001 is not in both train and val"):
        load("imagenet", tmp_path)


def test_a_wrong_subset_is_refused_before_anything_is_read(tmp_path, load):
    with pytest.raises(ValueError, match="'bas', expected one of all, base, new"):
        load("imagenet_a", tmp_path, subset="bas")


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ("dtd", "images/banded"),
        ("imagenet", "images/train/n02000003"),
        ("imagenetv2", "imagenetv2-matched-frequency-format-val/1"),
        ("imagenet_a", "imagenet-a/n02000003"),
    ],
)
def test_an_empty_class_folder_is_named(config, folder, tmp_path, load):
    directory = miniature.build(config, tmp_path)
    for image in (directory / folder).iterdir():
        image.unlink()
    with pytest.raises(DatasetError, match=f"{folder} is empty"):
        load(config, tmp_path)
