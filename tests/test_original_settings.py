"""The originals' own YAML files and options are read where their names are not ours."""

import pytest
from multimode_ot import methods
from multimode_ot.config import AS_HERE, Original, Originals, merge_options
from test_train import DATASET, train
from yacs.config import CfgNode

KGCOOP = """
DATALOADER:
  TRAIN_X:
    BATCH_SIZE: 128
TRAINER:
  COOP:
    CTX_INIT: True
"""
PROGRAD = KGCOOP.replace("128", "32") + 'LOSS:\n  NAME: "prograd"\n  T: 1.0\n'
PROMPTSRC = """
TRAINER:
  PROMPTSRC:
    N_CTX_VISION: 4
    N_CTX_TEXT: 4
    CTX_INIT: "a photo of a"
    PREC: "fp16"
    PROMPT_DEPTH_VISION: 3
    PROMPT_DEPTH_TEXT: 9
    TEXT_LOSS_WEIGHT: 25
    IMAGE_LOSS_WEIGHT: 10
    GPA_MEAN: 6
    GPA_STD: 10
"""
MMA = """
TRAINER:
  MMADAPTER:
    TEXT_CTX_INIT: "a photo of a"
    PREC: "amp"
    ADAPTER_START: 2
    ADAPTER_END: 4
    ADAPTER_DIM: 16
    ADAPTER_SCALE: 0.001
"""
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
# What the scripts of the original repositories add to their files.
SCRIPTS = {
    "KgCoOp": "TRAINER.COOP.N_CTX 4 TRAINER.COOP.CSC False TRAINER.COOP.W 8.0 "
    "TRAINER.COOP.CLASS_TOKEN_POSITION end",
    "TCP": "TRAINER.COOP.N_CTX 4 TRAINER.COOP.CSC False TRAINER.COOP.W 1.0 "
    "TRAINER.COOP.CLASS_TOKEN_POSITION end",
    "ProGrad": "TRAINER.COOP.N_CTX 16 TRAINER.COOP.CSC False LOSS.LAMBDA 0.8 "
    "TRAINER.COOP.CLASS_TOKEN_POSITION end",
}


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


def test_kgcoops_file_and_script_set_what_is_kgcoops_own(read, capfd):
    cfg = read("KgCoOp", KGCOOP, *SCRIPTS["KgCoOp"].split(), "TRAINER.COOP.PREC", "fp32")
    own = cfg.TRAINER.KGCOOP
    assert (own.CTX_INIT, own.N_CTX, own.CSC, own.PREC) == ("a photo of a", 4, False, "fp32")
    assert own.REGULARISERS == ("template_consistency",)
    assert own.TEMPLATE_CONSISTENCY.WEIGHT == 8.0
    assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 128
    untouched = cfg.TRAINER.COOP
    assert (untouched.CTX_INIT, untouched.N_CTX, untouched.PREC) == ("", 16, "fp16")
    said = capfd.readouterr().out.splitlines()
    assert said == ["TRAINER.COOP.CLASS_TOKEN_POSITION 'end' does nothing for TRAINER.KGCOOP"]


def test_prograds_file_and_script_set_what_is_prograds_own(read, capfd):
    cfg = read("ProGrad", PROGRAD, *SCRIPTS["ProGrad"].split())
    own = cfg.TRAINER.PROGRAD
    assert (own.CTX_INIT, own.N_CTX, own.CLASS_TOKEN_POSITION) == (True, 16, "end")
    assert (own.REGULARISERS, own.PREC) == (("gradient_projection",), "fp16")
    assert (own.GRADIENT_PROJECTION.LAMBDA, own.GRADIENT_PROJECTION.T) == (0.8, 1.0)
    assert not capfd.readouterr().out


def test_promptsrcs_file_sets_what_its_parts_have(read, capfd):
    own = read("PromptSRC", PROMPTSRC, "TRAINER.PROMPTSRC.TEXT_LOSS_WEIGHT", "20").TRAINER.PROMPTSRC
    assert (own.PROMPT_DEPTH_VISION, own.PROMPT_DEPTH_TEXT) == (3, 9)
    assert own.REGULARISERS == ("frozen_consistency", "weight_average")
    consistency = own.FROZEN_CONSISTENCY
    assert (consistency.TEXT_WEIGHT, consistency.IMAGE_WEIGHT) == (20.0, 10.0)
    assert (own.WEIGHT_AVERAGE.MEAN, own.WEIGHT_AVERAGE.STD) == (6.0, 10.0)
    assert not capfd.readouterr().out


def test_mmas_file_sets_what_is_mmas_own(read, capfd):
    own = read("MultiModalAdapter", MMA, "TRAINER.MMADAPTER.PREC", "fp32").TRAINER.MMA
    assert (own.TEXT_CTX_INIT, own.PREC) == ("a photo of a", "fp32")
    assert (own.ADAPTER_START, own.ADAPTER_END, own.ADAPTER_DIM) == (2, 4, 16)
    assert own.ADAPTER_SCALE == 0.001
    assert not capfd.readouterr().out


def test_tcps_script_does_not_set_the_weight_that_the_original_never_reads(read, capfd):
    loss = "LOSS.NAME '' LOSS.GM False"
    own = read("TCP", KGCOOP, *SCRIPTS["TCP"].split(), *loss.split()).TRAINER.TCP
    assert (own.CTX_INIT, own.N_CTX, own.W) == ("a photo of a", 4, 8.0)
    assert "TRAINER.COOP.W 1.0 does nothing" in capfd.readouterr().out.replace("'", "")


def test_the_same_keys_are_coops_where_coop_is_chosen(read):
    cfg = read("CoOp", "TRAINER:\n  COOP:\n    N_CTX: 4\n")
    assert cfg.TRAINER.COOP.N_CTX == 4 and cfg.TRAINER.KGCOOP.N_CTX == 16


@pytest.mark.parametrize(
    ("value", "words"),
    [("True", "a photo of a"), ("False", ""), ("a picture of", "a picture of"), ("", "")],
)
@pytest.mark.parametrize("node", ["COOP", "KGCOOP"])
def test_initial_words_may_be_a_boolean_as_in_the_original(read, value, words, node):
    own = read("KgCoOp", "", f"TRAINER.{node}.CTX_INIT", value).TRAINER.KGCOOP
    assert own["CTX_INIT"] == words


def test_what_does_nothing_is_said_with_its_file(read, capfd):
    read("KgCoOp", "LOSS:\n  GM: True\n")
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith("LOSS.GM True (in ") and line.endswith("does nothing for TRAINER.KGCOOP")


REFUSED = {
    "a key of nobody": ("KgCoOp", "", "LOSS.LAMBD 1", ["LOSS.LAMBD", "did you mean LOSS.LAMBDA?"]),
    "another method's": ("CoOp", "", "TRAINER.COOP.W 8.0", ["unknown config key TRAINER.COOP.W"]),
    "in a file": ("CoOp", "LOSS:\n  T: 1.0\n", "", ["unknown config key LOSS.T (in ", ".yaml)"]),
    "a wrong type": (
        "KgCoOp", "TRAINER:\n  COOP:\n    N_CTX: four\n", "",
        ["TRAINER.KGCOOP.N_CTX 'four' (TRAINER.COOP.N_CTX, in ", ".yaml): wants int"],
    ),
    "a wrong option": (
        "KgCoOp", "", "TRAINER.COOP.N_CTX four",
        ["TRAINER.KGCOOP.N_CTX 'four' (TRAINER.COOP.N_CTX): wants int"],
    ),
    "another loss": ("ProGrad", "", "LOSS.NAME coop", ["LOSS.NAME 'coop': must be 'prograd'"]),
    "words where there is a choice": (
        "ProGrad", "TRAINER:\n  COOP:\n    CTX_INIT: a photo of a\n", "",
        ["TRAINER.PROGRAD.CTX_INIT 'a photo of a' (TRAINER.COOP.CTX_INIT, in ", "wants bool"],
    ),
    "a share below zero": (
        "ProGrad", "", "LOSS.LAMBDA -1", ["TRAINER.PROGRAD.GRADIENT_PROJECTION.LAMBDA -1.0: must"]
    ),
    "an average without width": (
        "PromptSRC", "", "TRAINER.PROMPTSRC.GPA_STD 0", ["WEIGHT_AVERAGE.STD 0.0: must be"]
    ),
    "a weight below zero": (
        "KgCoOp", "", "TRAINER.COOP.W -1", ["TRAINER.KGCOOP.TEMPLATE_CONSISTENCY.WEIGHT -1.0: must"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_in_one_line(read, refused, case):
    method, text, options, words = REFUSED[case]

    def call():
        with train.one_line_errors():
            read(method, text, *options.split())

    line = refused(call)
    assert all(word in line for word in words), line


def test_a_value_that_cannot_be_converted_is_named():
    def refuse(value):
        raise ValueError("must be blue")

    originals = Originals("TRAINER.OWN", {"OTHER.COLOUR": Original("COLOUR", refuse)})
    cfg = CfgNode({"TRAINER": {"OWN": {"COLOUR": "blue"}}})
    with pytest.raises(ValueError, match=r"^OTHER\.COLOUR 'red': must be blue$"):
        merge_options(cfg, ["OTHER.COLOUR", "red"], originals=originals)
    with pytest.raises(ValueError, match=r"^unknown config key OTHER\.COLOUR"):
        merge_options(cfg, ["OTHER.COLOUR", "red"], originals=AS_HERE)


def test_a_trainer_may_have_its_original_name(read, monkeypatch):
    monkeypatch.setitem(methods.ORIGINAL_NAMES, "Knowledge_CoOp", "KgCoOp")
    cfg = read("Knowledge_CoOp", KGCOOP)
    assert cfg.TRAINER.NAME == "KgCoOp" and cfg.TRAINER.KGCOOP.CTX_INIT == "a photo of a"


@pytest.mark.parametrize("method", methods.BUILT_IN)
def test_a_declared_key_is_a_setting_of_the_method(method):
    found = methods.find_method(method)
    for key, original in found.originals.items():
        if original.whole:  # a key of the whole config
            continue
        node = found.all_settings()
        for name in original.key.split(".") if original.key else ():
            assert name in node, (key, original.key)
            node = node[name]


def test_taskress_keys_have_mixed_case_and_four_of_them_do_nothing(read, capfd):
    words = "TRAINER.TaskRes.RESIDUAL_SCALE 0.5 TRAINER.TaskRes.ENHANCED_BASE none "
    words += "TRAINER.TaskRes.PREC fp32 TRAINER.TaskRes.N_CTX 16 TRAINER.TaskRes.CSC False"
    own = read("TaskRes", "OPTIM:\n  NAME: adam\n", *words.split()).TRAINER.TASKRES
    assert (own.RESIDUAL_SCALE, own.ENHANCED_BASE, own.PREC) == (0.5, "none", "fp32")
    said = capfd.readouterr().out.splitlines()
    assert said == [
        "TRAINER.TaskRes.N_CTX '16' does nothing for TRAINER.TASKRES",
        "TRAINER.TaskRes.CSC 'False' does nothing for TRAINER.TASKRES",
    ]


def test_clip_adapters_trainer_is_found_by_its_own_name(read):
    assert read("CLIP_Adapter", "OPTIM:\n  LR: 0.002\n").TRAINER.NAME == "CLIPAdapter"


CLAP_FILE = """
TRAINER:
  ADAPTER:
    INIT: "ZS"
    PREC: "fp32"
    ENHANCED_BASE: "none"
"""


def test_claps_trainer_and_files_have_another_name_there(read):
    cfg = read("ADAPTER", CLAP_FILE, "TRAINER.ADAPTER.CONSTRAINT", "cosine_balanced")
    assert cfg.TRAINER.NAME == "CLAP"
    assert (cfg.TRAINER.CLAP.CONSTRAINT, cfg.TRAINER.CLAP.PREC) == ("cosine_balanced", "fp32")
    cfg = read("ZSLP", CLAP_FILE, "TRAINER.ADAPTER.CONSTRAINT", "none")
    assert cfg.TRAINER.ZSLP.PREC == "fp32" and "CONSTRAINT" not in cfg.TRAINER.ZSLP


@pytest.mark.parametrize(
    "method, key", [("CLAP", "ENHANCED_BASE"), ("ZSLP", "ENHANCED_BASE"), ("ZSLP", "CONSTRAINT")]
)
def test_what_claps_files_ask_for_and_there_is_not_is_refused(method, key, read):
    with pytest.raises(ValueError, match=rf"TRAINER.ADAPTER.{key} 'l2': only 'none' is offered"):
        read(method, CLAP_FILE, f"TRAINER.ADAPTER.{key}", "l2")


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
