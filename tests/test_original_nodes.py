"""PLOT++'s and CoPrompt's original files and options are read, the latter's in nodes of its own."""

import pytest
from test_train import DATASET, train

COPROMPT = """
DATALOADER:
  K_TRANSFORMS: 2
INPUT:
  TRANSFORMS: ["randaugment", "normalize"]
TRAINER:
  CoPrompt:
    N_CTX: 4
    CTX_INIT: "a photo of a"
    PREC: "fp16"
    PROMPT_DEPTH: 12
  W: 2.0
  DISTILL: "mean squares"
"""


@pytest.fixture
def read(tmp_path):
    """The config that train.py makes of a file and options."""

    def config(method, text, *options):
        file = tmp_path / "original.yaml"
        file.write_text(text, encoding="utf-8")
        words = ["--trainer", method, "--dataset-config-file", DATASET, "--config-file", str(file)]
        words += ["--backbone", "demo-vit"]
        return train.setup_cfg(train.parse_arguments([*words, *options]))

    return config


def test_coprompts_file_sets_what_is_coprompts_own(read):
    cfg = read("CoPrompt", COPROMPT, "TRAINER.W", "4")
    s = cfg.TRAINER.COPROMPT
    assert (s.N_CTX, s.CTX_INIT, s.PREC, s.PROMPT_DEPTH) == (4, "a photo of a", "fp16", 12)
    assert (s.W, s.DISTILL) == (4.0, "mse")
    assert "CoPrompt" not in cfg.TRAINER and "W" not in cfg.TRAINER
    with pytest.raises(ValueError, match=r"TRAINER\.COPROMPT\.W -1\.0: must be at least 0"):
        read("CoPrompt", COPROMPT, "TRAINER.W", "-1")
    with pytest.raises(ValueError, match=r"unknown config key TRAINER\.W"):
        read("MaPLe", "", "TRAINER.W", "4")


def test_plotpps_options_name_the_file_to_start_from_and_nothing_for_all_prompts(read, tmp_path):
    options = ("TRAINER.PLOTPP.PRETRAIN_DIR", str(tmp_path / "file"))
    cfg = read("PLOTPP", "", *options, "TRAINER.PLOTPP.MODEL_UPD", "")
    assert str(tmp_path / "file") == cfg.MODEL.INIT_WEIGHTS
    assert cfg.TRAINER.PLOTPP.MODEL_UPD == "joint" and "PRETRAIN_DIR" not in cfg.TRAINER.PLOTPP
    with pytest.raises(ValueError, match=r"PLOTPP\.MODEL_UPD 'jiont'"):
        read("PLOTPP", "", "TRAINER.PLOTPP.MODEL_UPD", "jiont")
