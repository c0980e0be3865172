"""KgCoOp, ProGrad and PromptSRC as users meet them: refusals, runs, what results say."""

import json
import re

import pytest
from multimode_ot import build_model
from multimode_ot.config import Check
from multimode_ot.methods import find_method
from parity import NAMES, settings
from random_clip import random_clip

TINY = "tiny-vit"
# Settings that do not go together, by what the line must say.
REFUSED = {
    ("KgCoOp", "CLASS_TOKEN_POSITION", "front"): "KGCOOP.CLASS_TOKEN_POSITION 'front'.*end",
    ("KgCoOp", "TEMPLATE_CONSISTENCY.WEIGHT", -1.0): "TEMPLATE_CONSISTENCY.WEIGHT -1.0: must be",
    ("ProGrad", "CSC", True): r"PROGRAD.CSC True.*set CSC False, or CTX_INIT False",
    ("ProGrad", "N_CTX", 7): "PROGRAD.N_CTX 7: must be at least 8.*'a type of pet, a photo of a'",
    ("ProGrad", "CLASS_TOKEN_POSITION", "front"): "POSITION 'front': must be 'end'.* 'a' stays",
    ("ProGrad", "CLASS_TOKEN_POSITION", "middle"): "POSITION 'middle': must be 'end'",
    ("ProGrad", "GRADIENT_PROJECTION.LAMBDA", -0.1): "LAMBDA -0.1: must be at least 0",
    ("ProGrad", "GRADIENT_PROJECTION.T", 0.0): "T 0.0: must be more than 0",
    ("PromptSRC", "FROZEN_CONSISTENCY.TEXT_WEIGHT", -25.0): "TEXT_WEIGHT -25.0: must be at least 0",
    ("PromptSRC", "FROZEN_CONSISTENCY.IMAGE_WEIGHT", -1.0): "IMAGE_WEIGHT -1.0: must be at least",
    ("PromptSRC", "WEIGHT_AVERAGE.STD", 0.0): "STD 0.0: must be at least",
    ("PromptSRC", "PROMPT_DEPTH_TEXT", 0): "PROMPT_DEPTH_TEXT 0: must be at least 1",
    ("PromptSRC", "N_CTX_VISION", 0): "N_CTX_VISION 0: must be at least 1",
}


@pytest.mark.parametrize(("method", "key", "value"), REFUSED, ids=str)
def test_what_does_not_go_together_is_refused(method, key, value):
    node = settings(method)
    if method == "ProGrad":
        node.CTX_INIT = True
    for depth in [k for k in node if "PROMPT_DEPTH" in k]:
        node[depth] = 2
    node.merge_from_list([key, value])
    with pytest.raises(ValueError, match=REFUSED[method, key, value]) as refusal:
        build_model(method, random_clip(TINY), NAMES, node, dataset="OxfordPets")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("method", ["KgCoOp", "ProGrad", "PromptSRC"])
def test_their_parts_are_there_by_default_and_can_be_left_out(method):
    kind = find_method(method)
    node = settings(method)
    kind.check_settings(Check(node, "TRAINER"))
    usual = kind.all_settings()["REGULARISERS"].default
    assert usual == tuple(node.REGULARISERS) != ()
    for depth in [k for k in node if "PROMPT_DEPTH" in k]:
        node[depth] = 2
    assert tuple(build_model(method, random_clip(TINY), NAMES, node).regularisers) == usual
    node.REGULARISERS = ()
    assert not build_model(method, random_clip(TINY), NAMES, node).regularisers


SHORT = (
    "DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 2, "DATALOADER.TRAIN_X.BATCH_SIZE", 4,
    "DATASET.SUBSAMPLE_CLASSES", "base",
)  # fmt: skip


@pytest.mark.parametrize("method", ["KgCoOp", "ProGrad", "PromptSRC"])
def test_a_run_bears_the_methods_name_alone_and_can_be_tested(method, run, tmp_path):
    run(method, *SHORT)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["method"] == method and results["regularisers"] == []
    assert results["made_of"]["settings"][f"TRAINER.{method.upper()}.REGULARISERS"]
    said = run(
        method, "--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 2, *SHORT,
        folder="test",
    )  # fmt: skip
    assert re.search(r"Loaded \d+ prompt tensors", said)
    tested = json.loads((tmp_path / "test/results.json").read_text())
    assert tested["accuracy"] == results["accuracy"] and tested["weights"] == results["weights"]


def test_what_is_added_to_the_usual_parts_is_named(run, tmp_path):
    both_parts = "template_consistency,weight_average"
    run("KgCoOp", *SHORT, "TRAINER.KGCOOP.REGULARISERS", both_parts)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["regularisers"] == ["weight_average"]
