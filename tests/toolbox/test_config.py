"""Section 4: default keys, and merging as yacs does it."""

import pytest
from dassl.config import clean_cfg, get_cfg_default
from yacs.config import CfgNode

# Section 4.2. Merging refuses values of another type, so 0 and 0.0 differ.
DEFAULTS = {
    "": {
        "VERSION": 1, "OUTPUT_DIR": "./output", "RESUME": "", "SEED": -1, "USE_CUDA": True,
        "VERBOSE": True,
    },
    "INPUT": {
        "SIZE": (224, 224), "INTERPOLATION": "bilinear", "TRANSFORMS": (), "NO_TRANSFORM": False,
        "PIXEL_MEAN": [0.485, 0.456, 0.406], "PIXEL_STD": [0.229, 0.224, 0.225],
        "CROP_PADDING": 4, "RRCROP_SCALE": (0.08, 1.0), "CUTOUT_N": 1, "CUTOUT_LEN": 16,
        "GN_MEAN": 0.0, "GN_STD": 0.15, "RANDAUGMENT_N": 2, "RANDAUGMENT_M": 10,
        "COLORJITTER_B": 0.4, "COLORJITTER_C": 0.4, "COLORJITTER_S": 0.4, "COLORJITTER_H": 0.1,
        "RGS_P": 0.2, "GB_P": 0.5, "GB_K": 21,
    },
    "DATASET": {
        "ROOT": "", "NAME": "", "SOURCE_DOMAINS": (), "TARGET_DOMAINS": (), "NUM_LABELED": -1,
        "NUM_SHOTS": -1, "VAL_PERCENT": 0.1, "STL10_FOLD": -1, "CIFAR_C_TYPE": "",
        "CIFAR_C_LEVEL": 1, "ALL_AS_UNLABELED": False,
    },
    "DATALOADER": {
        "NUM_WORKERS": 4, "K_TRANSFORMS": 1, "RETURN_IMG0": False,
    },
    "DATALOADER.TRAIN_X": {
        "SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16,
    },
    "DATALOADER.TRAIN_U": {
        "SAME_AS_X": True, "SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0,
        "N_INS": 16,
    },
    "DATALOADER.TEST": {
        "SAMPLER": "SequentialSampler", "BATCH_SIZE": 32,
    },
    "MODEL": {
        "INIT_WEIGHTS": "",
    },
    "MODEL.BACKBONE": {
        "NAME": "", "PRETRAINED": True,
    },
    "MODEL.HEAD": {
        "NAME": "", "HIDDEN_LAYERS": (), "ACTIVATION": "relu", "BN": True, "DROPOUT": 0.0,
    },
    "OPTIM": {
        "NAME": "adam", "LR": 0.0003, "WEIGHT_DECAY": 5e-4, "MOMENTUM": 0.9, "SGD_DAMPNING": 0,
        "SGD_NESTEROV": False, "RMSPROP_ALPHA": 0.99, "ADAM_BETA1": 0.9, "ADAM_BETA2": 0.999,
        "STAGED_LR": False, "NEW_LAYERS": (), "BASE_LR_MULT": 0.1, "LR_SCHEDULER": "single_step",
        "STEPSIZE": (-1,), "GAMMA": 0.1, "MAX_EPOCH": 10, "WARMUP_EPOCH": -1,
        "WARMUP_TYPE": "linear", "WARMUP_CONS_LR": 1e-5, "WARMUP_MIN_LR": 1e-5,
        "WARMUP_RECOUNT": True,
    },
    "TRAIN": {
        "CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10, "COUNT_ITER": "train_x",
    },
    "TEST": {
        "EVALUATOR": "Classification", "PER_CLASS_RESULT": False, "COMPUTE_CMAT": False,
        "NO_TEST": False, "SPLIT": "test", "FINAL_MODEL": "last_step",
    },
    "TRAINER": {
        "NAME": "",
    },
}  # fmt: skip
STAND_IN_ONLY = {
    "INPUT.AS_SEEN": "auto",
    "DATALOADER.CACHE_MB": 0,
    "DATALOADER.SKIP_BAD_IMAGES": False,
    "DATASET.SUBSAMPLE_CLASSES": "all",
    "TRAIN.CHECKPOINT_BATCHES": 0,
}


def test_each_call_gives_a_fresh_unfrozen_copy():
    cfg = get_cfg_default()
    cfg.OPTIM.LR = 5.0
    cfg.TRAINER.COOP = CfgNode()
    cfg.INPUT.PIXEL_MEAN.append(1.0)
    fresh = get_cfg_default()
    assert fresh.OPTIM.LR == 0.0003
    assert "COOP" not in fresh.TRAINER
    assert len(fresh.INPUT.PIXEL_MEAN) == 3


def flat(node, prefix=""):
    """The leaves of nested mappings by dotted key."""
    leaves = {}
    for key, value in node.items():
        nested = isinstance(value, dict)
        leaves |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return leaves


def test_every_default_key_its_value_and_its_type():
    wanted = {f"{s}.{k}".lstrip("."): v for s, keys in DEFAULTS.items() for k, v in keys.items()}
    found = flat(get_cfg_default())
    assert found == wanted | STAND_IN_ONLY
    for key, value in wanted.items():
        assert type(found[key]) is type(value), key


def test_strings_of_a_yaml_become_tuples_and_floats(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("INPUT:\n  SIZE: (32, 16)\nOPTIM:\n  WARMUP_CONS_LR: 1e-5\n")
    cfg = get_cfg_default()
    cfg.merge_from_file(str(path))
    assert cfg.INPUT.SIZE == (32, 16)
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5


def test_an_int_for_a_float_and_an_unknown_key_are_refused(tmp_path):
    cfg = get_cfg_default()
    with pytest.raises(ValueError, match="WEIGHT_DECAY"):
        cfg.merge_from_list(["OPTIM.WEIGHT_DECAY", 0])
    with pytest.raises(AssertionError, match="Non-existent key"):
        cfg.merge_from_list(["OPTIM.WEIGHT_DEKAY", 0.0])
    (tmp_path / "a.yaml").write_text("OPTIM:\n  WEIGHT_DEKAY: 0.1\n")
    with pytest.raises(KeyError, match="WEIGHT_DEKAY"):
        cfg.merge_from_file(str(tmp_path / "a.yaml"))


def test_clean_cfg_keeps_the_name_and_the_options_of_one_trainer():
    cfg = get_cfg_default()
    cfg.TRAINER.COOP = CfgNode()
    cfg.TRAINER.MAPLE = CfgNode()
    clean_cfg(cfg, "MaPLe")
    assert set(cfg.TRAINER) == {"NAME", "MAPLE"}
