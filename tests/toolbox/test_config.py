"""Section 4: default keys, and merging as yacs does it."""

import pytest
from dassl.config import clean_cfg, get_cfg_default
from yacs.config import CfgNode


def test_each_call_gives_a_fresh_unfrozen_copy():
    cfg = get_cfg_default()
    cfg.OPTIM.LR = 5.0
    cfg.TRAINER.COOP = CfgNode()
    cfg.INPUT.PIXEL_MEAN.append(1.0)
    fresh = get_cfg_default()
    assert fresh.OPTIM.LR == 0.0003
    assert "COOP" not in fresh.TRAINER
    assert len(fresh.INPUT.PIXEL_MEAN) == 3


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("VERSION", 1),
        ("OUTPUT_DIR", "./output"),
        ("SEED", -1),
        ("INPUT.SIZE", (224, 224)),
        ("INPUT.TRANSFORMS", ()),
        ("INPUT.PIXEL_STD", [0.229, 0.224, 0.225]),
        ("INPUT.RRCROP_SCALE", (0.08, 1.0)),
        ("INPUT.GB_K", 21),
        ("DATASET.NUM_SHOTS", -1),
        ("DATASET.SUBSAMPLE_CLASSES", "all"),
        ("DATALOADER.NUM_WORKERS", 4),
        ("DATALOADER.CACHE_MB", 0),
        ("DATALOADER.SKIP_BAD_IMAGES", False),
        ("DATALOADER.TRAIN_X.N_INS", 16),
        ("DATALOADER.TEST.SAMPLER", "SequentialSampler"),
        ("MODEL.HEAD.DROPOUT", 0.0),
        ("OPTIM.NAME", "adam"),
        ("OPTIM.WEIGHT_DECAY", 5e-4),
        ("OPTIM.SGD_DAMPNING", 0),
        ("OPTIM.STEPSIZE", (-1,)),
        ("OPTIM.WARMUP_EPOCH", -1),
        ("OPTIM.WARMUP_RECOUNT", True),
        ("TRAIN.CHECKPOINT_FREQ", 0),
        ("TRAIN.PRINT_FREQ", 10),
        ("TEST.FINAL_MODEL", "last_step"),
        ("TRAINER.NAME", ""),
    ],
)
def test_default_and_type_of(key, default):
    value = get_cfg_default()
    for part in key.split("."):
        value = value[part]
    assert value == default
    assert type(value) is type(default)


def test_strings_of_a_yaml_become_tuples_and_floats(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("INPUT:\n  SIZE: (32, 16)\nOPTIM:\n  WARMUP_CONS_LR: 1e-5\n")
    cfg = get_cfg_default()
    cfg.merge_from_file(str(path))
    assert cfg.INPUT.SIZE == (32, 16)
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5


def test_an_int_for_a_float_and_an_unknown_key_are_refused():
    cfg = get_cfg_default()
    with pytest.raises(ValueError, match="WEIGHT_DECAY"):
        cfg.merge_from_list(["OPTIM.WEIGHT_DECAY", 0])
    with pytest.raises(AssertionError, match="Non-existent key"):
        cfg.merge_from_list(["OPTIM.WEIGHT_DEKAY", 0.0])


def test_clean_cfg_keeps_the_name_and_the_options_of_one_trainer():
    cfg = get_cfg_default()
    cfg.TRAINER.COOP = CfgNode()
    cfg.TRAINER.MAPLE = CfgNode()
    clean_cfg(cfg, "MaPLe")
    assert set(cfg.TRAINER) == {"NAME", "MAPLE"}
