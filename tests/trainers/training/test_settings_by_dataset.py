"""CoPrompt's and PLOT++'s published settings, by data set or shots, as the scripts find them."""

from pathlib import Path

import pytest
import yaml
from multimode_ot import extend_cfg
from multimode_ot.config import merge_file

dassl_config = pytest.importorskip("dassl.config")
CONFIGS = Path(__file__).parents[3] / "configs"
TABLE = yaml.safe_load((CONFIGS / "defaults.yaml").read_text())
# Depth, tokens, weight, epochs.
COPROMPT = {
    "imagenet": (12, 4, 8.0, 8),
    "caltech101": (12, 4, 4.0, 8),
    "oxford_pets": (12, 2, 0.1, 8),
    "stanford_cars": (12, 4, 4.0, 8),
    "oxford_flowers": (9, 4, 8.0, 8),
    "food101": (9, 4, 0.5, 5),
    "fgvc_aircraft": (9, 4, 2.0, 8),
    "sun397": (12, 4, 8.0, 8),
    "dtd": (12, 2, 8.0, 8),
    "eurosat": (12, 2, 0.1, 8),
    "ucf101": (12, 4, 2.0, 8),
    "default": (9, 2, 1.0, 8),
}


def load(method, name):
    cfg = dassl_config.get_cfg_default()
    extend_cfg(cfg)
    merge_file(cfg, str(CONFIGS / f"trainers/{method}/{name}.yaml"))
    return cfg


@pytest.mark.parametrize("dataset", COPROMPT)
def test_coprompt_has_the_published_settings_of_each_data_set(dataset):
    cfg = load("CoPrompt", TABLE["CoPrompt"]["base2new"][dataset])
    s, optim = cfg.TRAINER.COPROMPT, cfg.OPTIM
    assert COPROMPT[dataset] == (s.PROMPT_DEPTH, s.N_CTX, s.W, optim.MAX_EPOCH)
    assert (s.CTX_INIT, s.DISTILL, s.PREC) == ("a photo of a", "cosine", "fp16")
    assert (optim.LR, cfg.DATALOADER.TRAIN_X.BATCH_SIZE) == (0.0035, 4)
    assert cfg.DATALOADER.K_TRANSFORMS == 2
    assert list(cfg.INPUT.TRANSFORMS) == ["randaugment", "normalize"]
    assert (cfg.INPUT.RANDAUGMENT_N, cfg.INPUT.RANDAUGMENT_M) == (2, 10)


def test_data_sets_of_one_kind_share_a_file_and_none_is_left_over():
    named = set(TABLE["CoPrompt"]["base2new"].values())
    there = {file.stem for file in (CONFIGS / "trainers/CoPrompt").glob("*.yaml")}
    assert named == there and len(set(COPROMPT.values())) == len(there) - 1  # without the demo


@pytest.mark.parametrize(
    ("dataset", "shots", "epochs"),
    [("default", 1, 50), ("default", 2, 100), ("default", 4, 100), ("default", 8, 200),
     ("default", 16, 200), ("imagenet", 16, 50)],
)  # fmt: skip
def test_plotpp_has_the_published_epochs_of_each_number_of_shots(dataset, shots, epochs):
    chosen = TABLE["PLOTPP"]["fewshot"][dataset]
    cfg = load("PLOTPP", chosen[shots] if isinstance(chosen, dict) else chosen)
    s = cfg.TRAINER.PLOTPP
    assert epochs == cfg.OPTIM.MAX_EPOCH and cfg.OPTIM.LR == 0.002
    assert (s.N, s.M, s.N_CTX, s.N_CTX_V, s.CTX_INIT, s.PREC) == (4, 4, 4, 2, True, "fp16")
    assert (cfg.DATALOADER.TRAIN_X.BATCH_SIZE, cfg.DATALOADER.TEST.BATCH_SIZE) == (32, 100)
    assert cfg.MODEL.BACKBONE.NAME == "ViT-B/16"
    assert s.STAGE1_SEED == 0  # the fair one
