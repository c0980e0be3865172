"""What a config hash depends on, and that results are written whole."""

import json
from pathlib import Path

import pytest
from multimode_ot import extend_cfg
from multimode_ot.config import merge_file, merge_options
from multimode_ot.results.results_json import (
    config_hash,
    harmonic_mean,
    read_results,
    write_results,
)

dassl_config = pytest.importorskip("dassl.config")


CHECKOUT = Path(__file__).resolve().parents[3]
# Of shipped configs on Pets, as results that were written before 2026-11-28 have them.
EARLIER = {
    "ALIGN/vit_b16": "d2c2b625-9bbb72a7",
    "CoOp/vit_b16_ctxv1": "d2c2b625-76942453",
    "ZeroshotCLIP/vit_b16": "d2c2b625-1d3a241e",
    "MultiModeOT/demo": "34036894-3072b569",
}


def hash_of_shipped(name):
    method = name.partition("/")[0]
    cfg = dassl_config.get_cfg_default()
    extend_cfg(cfg)
    for file in ("datasets/oxford_pets", f"trainers/{name}"):
        merge_file(cfg, str(CHECKOUT / f"configs/{file}.yaml"))
    merge_options(cfg, ["TRAINER.NAME", method, "DATASET.NUM_SHOTS", 16])
    return config_hash(cfg, method != "ZeroshotCLIP")


def digest(*options, trainer="ALIGN", trains=True):
    cfg = dassl_config.get_cfg_default()
    extend_cfg(cfg)
    merge_options(cfg, ["TRAINER.NAME", trainer, "MODEL.BACKBONE.NAME", "demo-vit", *options])
    return config_hash(cfg, trains)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SEED", 3),
        ("DATASET.NAME", "Digits"),
        ("DATASET.SUBSAMPLE_CLASSES", "new"),
        ("DATASET.ROOT", "elsewhere"),
        ("DATALOADER.NUM_WORKERS", 0),
        ("TRAIN.PRINT_FREQ", 1),
        ("TRAINER.COOP.N_CTX", 4),
        ("TRAINER.ALIGN.MEMORY_MB", 100),
        ("MODEL.BACKBONE.PREPROCESSING", "backbone"),
        ("INPUT.RESIZE_MODE", "shortest"),
    ],
)
def test_what_changes_no_result_changes_no_hash(key, value):
    assert digest(key, value) == digest()


@pytest.mark.parametrize(
    ("key", "value"),
    [("OPTIM.LR", 0.1), ("DATASET.NUM_SHOTS", 4), ("TRAINER.ALIGN.BETA", 2.0)],
)
def test_a_methods_settings_change_its_hash_but_not_the_common_part(key, value):
    changed, plain = digest(key, value), digest()
    assert changed != plain
    assert changed.split("-")[0] == plain.split("-")[0]


def test_methods_share_the_common_part_unless_the_backbone_or_the_input_differs():
    common = digest().split("-")[0]
    assert digest(trainer="CoOp").split("-")[0] == common
    assert digest(trainer="ZeroshotCLIP", trains=False).split("-")[0] == common
    assert digest("MODEL.BACKBONE.NAME", "RN50").split("-")[0] != common
    assert digest("INPUT.SIZE", "(32, 32)").split("-")[0] != common
    assert digest("INPUT.RESIZE_MODE", "squash").split("-")[0] != common


def test_the_hashes_of_runs_of_earlier_versions_are_still_theirs():
    assert {name: hash_of_shipped(name) for name in EARLIER} == EARLIER


def test_results_replace_earlier_ones_whole(tmp_path):
    result = dict.fromkeys(("method", "dataset", "subset"), "x")
    result |= {"shots": 1, "seed": 1, "accuracy": 100 / 3}
    write_results(tmp_path, result | {"seed": 2})
    path = write_results(tmp_path, result)
    assert read_results(path) == result == json.loads(path.read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_the_harmonic_mean_of_nothing_is_nothing():
    assert harmonic_mean(0, 0) == 0
    assert harmonic_mean(60, 40) == 48
