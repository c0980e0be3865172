"""What a run is made of, when two runs are made of the same, and who owns a folder."""

import json
import os
from types import SimpleNamespace

import pytest
from multimode_ot import extend_cfg
from multimode_ot.config import merge_options
from multimode_ot.results import provenance
from multimode_ot.results.provenance import (
    data_of_run,
    describe,
    differences,
    fingerprint,
    settings_of_run,
)
from multimode_ot.results.run_folder import RunFolder

dassl_config = pytest.importorskip("dassl.config")


def config(*options):
    cfg = dassl_config.get_cfg_default()
    extend_cfg(cfg)
    merge_options(cfg, ["TRAINER.NAME", "ALIGN", "MODEL.BACKBONE.NAME", "demo-vit", *options])
    return cfg


def named(found):
    return {difference.name for difference in found}


def record(*options, trains=True, **parts):
    settings = settings_of_run(config(*options), trains)
    return {"method": "ALIGN", "method_version": 1, "settings": settings, **parts}


# Settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("OUTPUT_DIR", "123"),
        ("DATASET.ROOT", "elsewhere"),
        ("DATALOADER.NUM_WORKERS", 0),
        ("DATALOADER.CACHE_MB", 10),
        ("TRAIN.PRINT_FREQ", 1),
        ("TRAIN.CHECKPOINT_FREQ", 1),
        ("USE_CUDA", False),
        ("TEST.COMPUTE_CMAT", True),
        ("TRAINER.COOP.N_CTX", 4),
        ("TRAINER.ALIGN.MEMORY_MB", 100),
        ("MODEL.BACKBONE.PREPROCESSING", "backbone"),  # what came of it stands in INPUT
    ],
)
def test_what_says_only_where_and_how_may_differ(key, value):
    assert not differences(record(), record(key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SEED", 3),
        ("OPTIM.LR", 0.1),
        ("DATASET.NAME", "Digits"),
        ("DATASET.NUM_SHOTS", 4),
        ("DATASET.SUBSAMPLE_CLASSES", "new"),
        ("INPUT.SIZE", "(32, 32)"),
        ("INPUT.RESIZE_MODE", "squash"),
        ("DATALOADER.TRAIN_X.BATCH_SIZE", 7),
        ("TEST.FINAL_MODEL", "best_val"),
        ("TRAINER.ALIGN.BETA", 2.0),
        ("TRAINER.ALIGN.PREC", "fp32"),
    ],
)
def test_what_can_change_a_result_is_named_with_both_values(key, value):
    plain, changed = record(), record(key, value)
    (found,) = [d for d in differences(plain, changed) if d.name == key]
    assert (found.there, found.here) == (plain["settings"][key], changed["settings"][key])
    assert f"{key} is {found.there!r} there and {found.here!r} here" in describe([found])


@pytest.mark.parametrize("key", ["OPTIM.LR", "TRAINER.ALIGN.BETA", "INPUT.SIZE", "SEED"])
def test_weights_are_tested_only_under_the_settings_that_they_were_trained_with(key):
    value = {"OPTIM.LR": 0.1, "TRAINER.ALIGN.BETA": 2.0, "INPUT.SIZE": "(32, 32)", "SEED": 3}[key]
    trained = record("SEED", 1)
    assert named(differences(trained, record("SEED", 1, key, value), testing=True)) == {key}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DATASET.NAME", "Digits"),
        ("DATASET.SUBSAMPLE_CLASSES", "new"),
        ("DATALOADER.TEST.BATCH_SIZE", 7),
        ("TEST.PER_CLASS_RESULT", True),
        ("DATASET.NUM_SHOTS", -1),
        ("SEED", -1),
    ],
)
def test_weights_may_be_tested_on_other_data_and_without_naming_shots_or_seed(key, value):
    trained = record("SEED", 1, "DATASET.NUM_SHOTS", 16)
    tested = record("SEED", 1, "DATASET.NUM_SHOTS", 16, key, value)
    assert not differences(trained, tested, testing=True)


def test_a_method_that_trains_nothing_has_no_settings_of_training():
    options = (
        "OPTIM.LR",
        0.1,
        "SEED",
        3,
        "DATASET.NUM_SHOTS",
        4,
        "DATALOADER.TRAIN_X.BATCH_SIZE",
        7,
    )
    assert not differences(record(trains=False), record(*options, trains=False))
    changed = record("INPUT.SIZE", "(32, 32)", trains=False)
    assert named(differences(record(trains=False), changed)) == {"INPUT.SIZE"}


def test_a_part_that_one_side_does_not_know_is_not_compared():
    full = record(backbone={"name": "a", "sha256": "0" * 64}, classes=["cat"])
    assert not differences(record(), full) and not differences(full, record())


@pytest.mark.parametrize("testing", [True, False])
def test_records_of_versions_that_could_not_squash_are_of_pictures_that_were_cut(testing):
    before = record()
    del before["settings"]["INPUT.RESIZE_MODE"]
    squashed = record("INPUT.RESIZE_MODE", "squash")
    assert not differences(before, record(), testing) and not differences(record(), before, testing)
    (found,) = differences(before, squashed, testing)
    assert found == ("INPUT.RESIZE_MODE", "shortest", "squash")
    (found,) = differences(squashed, before, testing)
    assert found == ("INPUT.RESIZE_MODE", "squash", "shortest")


def test_of_a_backbone_the_content_counts_and_not_the_name():
    first, same, other = (
        record(backbone={"name": name, "sha256": digest * 64})
        for name, digest in (("ViT-B/16", "a"), ("ViT-B-16.pt", "a"), ("ViT-B/16", "b"))
    )
    assert not differences(first, same)
    assert "ViT-B/16 (aaaaaaaaaaaa)" in describe(differences(first, other))


# Data


class Images:
    """A data set of small files below a root."""

    def __init__(self, root, classes=("cat", "dog")):
        self.root, self.classnames = root, list(classes)
        self.train_x, self.val, self.test = (
            [self.item(f"{part}{i}.png", i % 2, "x" * (i + 1)) for i in range(4)]
            for part in ("train", "val", "test")
        )

    def item(self, name, label, content):
        path = self.root / name
        path.write_text(content)
        return SimpleNamespace(impath=str(path), label=label)

    def record(self, content="sizes"):
        cfg = config("DATASET.ROOT", str(self.root), "DATASET.FINGERPRINT", content)
        return record(**data_of_run(self, cfg))


def test_moved_data_are_the_same(tmp_path):
    roots = [tmp_path / name for name in ("ä b", "c")]
    for root in roots:
        root.mkdir()
    assert not differences(*(Images(root).record() for root in roots))


@pytest.mark.parametrize("change", ["label", "order", "size", "removed", "name", "class"])
def test_any_change_of_the_data_is_named(change, tmp_path):
    data = Images(tmp_path)
    before = data.record()
    if change == "label":
        data.test[0].label = 1
    elif change == "order":
        data.train_x.reverse()
    elif change == "size":
        (tmp_path / "val2.png").write_text("longer than before")
    elif change == "removed":
        data.test.pop()
    elif change == "name":
        data.train_x[0] = data.item("other.png", 0, "x")
    else:
        data.classnames[1] = "wolf"
    where = {"label": "test", "removed": "test", "size": "val", "class": "classes"}
    (found,) = differences(before, data.record())
    assert found.name.startswith(where.get(change, "train"))


def test_small_data_of_the_same_sizes_are_told_apart_by_their_bytes(tmp_path, monkeypatch):
    data = Images(tmp_path)
    before = data.record("auto")
    (tmp_path / "val0.png").write_text("y")
    assert named(differences(before, data.record("auto"))) == {"val images (content)"}
    monkeypatch.setattr(provenance, "READ_BYTES", 9)  # the files of each list are 10
    assert not differences(before, data.record("auto"))


def test_other_bytes_of_large_data_of_the_same_sizes_are_seen_on_request_alone(tmp_path):
    data = Images(tmp_path)
    quick, whole = data.record(), data.record("content")
    (tmp_path / "test3.png").write_text("yyyy")
    assert not differences(quick, data.record())
    assert named(differences(whole, data.record("content"))) == {"test images (content)"}
    assert not differences(quick, data.record("content"))


def test_validation_images_that_are_tested_are_counted(tmp_path):
    data = Images(tmp_path)
    assert data.record()["data"]["val"]["also_in_test"] == 0
    data.val = data.test
    assert data.record()["data"]["val"]["also_in_test"] == 4


def test_copies_of_test_images_under_other_names_are_counted_where_they_choose(tmp_path):
    data = Images(tmp_path)  # val and test have the same bytes
    chosen = config("DATASET.ROOT", str(tmp_path), "TEST.FINAL_MODEL", "best_val")
    assert data_of_run(data, chosen)["data"]["val"]["also_in_test"] == 4
    (tmp_path / "val0.png").write_text("y")
    assert data_of_run(data, chosen)["data"]["val"]["also_in_test"] == 3
    assert data.record()["data"]["val"]["also_in_test"] == 0


def test_an_image_that_is_not_there_is_named(tmp_path):
    missing = SimpleNamespace(impath=str(tmp_path / "gone.png"), label=0)
    with pytest.raises(OSError, match=r"gone\.png"):
        fingerprint([missing], str(tmp_path))


# Folders


def test_a_folder_belongs_to_the_run_that_wrote_it(tmp_path):
    folder = RunFolder(tmp_path / "new")
    folder.claim(record(data={}, classes=["cat"]), used=False)
    folder.claim(record(), used=True)
    assert folder.read()["classes"] == ["cat"]
    before = folder.path.read_bytes()
    with pytest.raises(ValueError, match=r"new holds another run: OPTIM\.LR is .* there and 5\.0"):
        folder.claim(record("OPTIM.LR", 5.0), used=False)
    assert folder.path.read_bytes() == before


def test_a_run_that_was_killed_before_its_data_stood_is_replaced_unless_there_are_results(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(record(), used=False)
    with pytest.raises(ValueError, match=r"OPTIM\.LR"):
        folder.claim(record("OPTIM.LR", 5.0), used=True)
    folder.claim(record("OPTIM.LR", 5.0), used=False)
    assert folder.read()["settings"]["OPTIM.LR"] == 5.0


def test_where_the_record_was_removed_that_of_the_results_stands(tmp_path):
    folder = RunFolder(tmp_path)
    results = dict.fromkeys(("method", "dataset", "subset", "shots", "seed", "accuracy"), 1)
    (tmp_path / "results.json").write_text(json.dumps({**results, "made_of": record()}))
    with pytest.raises(ValueError, match=r"OPTIM\.LR"):
        folder.claim(record("OPTIM.LR", 5.0), used=True)
    folder.claim(record(), used=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_record_is_named(tmp_path, content):
    folder = RunFolder(tmp_path)
    folder.path.write_text(content)
    with pytest.raises(ValueError, match=r"run\.json is not a run's record"):
        folder.claim(record(), used=True)


def test_what_is_written_has_the_permissions_of_any_new_file(tmp_path):
    RunFolder(tmp_path).claim(record(), used=False)
    (tmp_path / "other").touch()
    assert os.stat(tmp_path / "run.json").st_mode == os.stat(tmp_path / "other").st_mode
    assert {p.name for p in tmp_path.iterdir()} == {"run.json", "other"}
