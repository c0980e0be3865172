"""Prompts are of the backbone that they were trained on: with another one they are refused, or, if
that is asked for, tested in a row of their own."""

import json
import shutil

import pytest
import torch
from multimode_ot import load_clip
from multimode_ot.commands import main
from multimode_ot.commands.compare import table
from multimode_ot.results.comparability import require_comparable
from multimode_ot.results.tree import OTHER_BACKBONE, other_backbone, row_label
from multimode_ot.training.finished import FinishedRun
from saved_runs import change, predicted, read_csv

SHORT = ("DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0)
BASE = (*SHORT, "DATASET.SUBSAMPLE_CLASSES", "base")
ALLOW = ("MODEL.BACKBONE.ALLOW_OTHER", True)


@pytest.fixture
def bare(tmp_path):
    """The demo's tensors in a file that does not say how they are run."""
    torch.save(load_clip("demo-vit").state_dict(), tmp_path / "bare.pt")
    return tmp_path / "bare.pt"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def trained(run, kept, tmp_path):
    """A run of CoOp on the base classes, the test's own."""
    if not (kept / "run").exists():
        run("CoOp", *BASE)
        shutil.move(tmp_path / "run", kept)
    return shutil.copytree(kept / "run", tmp_path / "run")


def run_as(file, activation):
    """The same tensors, another backbone."""
    named = ("MODEL.BACKBONE.NAME", file, "MODEL.BACKBONE.ACTIVATION", activation)
    return (*named, "MODEL.BACKBONE.HEAD_WIDTH", 64)


def load(folder):
    return ("--eval-only", "--model-dir", folder, "--load-epoch", 1)


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_same_model_in_another_format_is_the_same(run, trained, tmp_path, bare):
    run("CoOp", *load(trained), *BASE, *run_as(bare, "quick_gelu"), folder="again")
    assert results(tmp_path / "again")["correct"] == results(trained)["correct"]
    assert not other_backbone(results(tmp_path / "again"))


def test_another_activation_of_the_same_tensors_is_refused(run, trained, refused, tmp_path, bare):
    other = run_as(bare, "gelu")
    line = refused(run, "CoOp", *load(trained), *BASE, *other, folder="other")
    assert "model.pth.tar-1 was trained on the backbone demo-vit (3504f8f1ba08)" in line
    assert str(bare) in line and "MODEL.BACKBONE.ALLOW_OTHER True" in line
    initial = ("MODEL.INIT_WEIGHTS", trained / "prompt_learner/model.pth.tar-1")
    for options in ((), ("--eval-only",)):
        line = refused(run, "CoOp", *options, *BASE, *other, *initial, folder="other")
        assert "model.pth.tar-1 was trained on the backbone demo-vit" in line
    line = refused(run, "CoOp", "--resume", trained, *BASE, *other, *ALLOW, folder="r")
    assert "checkpoints of another run: backbone" in line
    assert "holds another run: backbone" in refused(run, "CoOp", *BASE, *other, *ALLOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.pt", "run"]


def test_what_is_asked_for_is_said_and_stands_in_a_row_of_its_own(run, tmp_path, bare):
    folders = {name: f"fewshot/digits/shots_1/{name}/seed1" for name in ("CoOp", "other", "zero")}
    run("CoOp", *SHORT, folder=folders["CoOp"])
    trained, other = tmp_path / folders["CoOp"], run_as(bare, "gelu")
    said = run("CoOp", *load(trained), *SHORT, *other, *ALLOW, folder=folders["other"])
    assert said.count("was trained on the backbone demo-vit (3504f8f1ba08); here it is ") == 1
    proper, found = results(trained), results(tmp_path / folders["other"])
    assert found["weights"] == proper["weights"] and found["config_hash"] != ""
    assert found["trained_by"]["backbone"]["name"] == "demo-vit"
    assert found["made_of"]["settings"] == proper["made_of"]["settings"]  # the key is in none
    assert row_label(found) == "CoOp" + OTHER_BACKBONE and row_label(proper) == "CoOp"
    with pytest.raises(ValueError, match="may not share a table: backbone is "):
        table([str(tmp_path), "--protocol", "fewshot"])
    mixed = json.loads(table([str(tmp_path), "--protocol", "fewshot", "--format", "json", "--mix"]))
    assert {cell["method"] for cell in mixed["cells"]} == {"CoOp", "CoOp" + OTHER_BACKBONE}
    # Zero-shot CLIP of the same backbone may stand beside them.
    run("ZeroshotCLIP", *other, folder=folders["zero"])
    trained.rename(tmp_path / "elsewhere")
    rows = json.loads(
        table([str(tmp_path / "fewshot"), "--protocol", "fewshot", "--format", "json"])
    )
    assert {cell["method"] for cell in rows["cells"]} == {"ZeroshotCLIP", "CoOp" + OTHER_BACKBONE}


def test_prompts_of_two_other_backbones_are_told_apart():
    def result(sha):
        made_of = {
            "method_version": 1, "settings": {}, "classes": ["cat"],
            "backbone": {"name": "B", "sha256": "b" * 64},
            "data": {"test": {"images": 1, "sha256": "t", "content": None}},
        }  # fmt: skip
        trained_by = made_of | {"backbone": {"name": "A", "sha256": sha * 64}}
        said = {"method": "CoOp", "dataset": "Pets", "subset": "all", "shots": 1, "seed": 1}
        return said | {"made_of": made_of, "trained_by": trained_by, "path": sha}

    require_comparable([result("a"), result("a"), result("b")])
    with pytest.raises(ValueError, match="backbone of the prompts is aaaaaaaaaaaa"):
        require_comparable([result("a"), result("c")])


def test_a_training_that_goes_on_from_them_keeps_the_mark(run, trained, tmp_path, bare):
    initial = ("MODEL.INIT_WEIGHTS", trained / "prompt_learner/model.pth.tar-1")
    said = run("CoOp", *BASE, *initial, *run_as(bare, "gelu"), *ALLOW, folder="on")
    assert said.count("was trained on the backbone demo-vit") == 1
    found = results(tmp_path / "on")
    assert found["made_of"]["initial_backbone"]["name"] == "demo-vit"
    assert row_label(found) == "CoOp" + OTHER_BACKBONE
    # Its own checkpoint is of the backbone that it was trained on last, and keeps the mark, too.
    run("CoOp", *load(tmp_path / "on"), *BASE, *run_as(bare, "gelu"), folder="tested")
    assert row_label(results(tmp_path / "tested")) == "CoOp" + OTHER_BACKBONE
    said = run(
        "CoOp", "--eval-only", *BASE, *initial, *run_as(bare, "gelu"), *ALLOW, folder="still"
    )
    assert said.count("was trained on the backbone demo-vit") == 1
    assert row_label(results(tmp_path / "still")) == "CoOp" + OTHER_BACKBONE


def test_such_a_run_is_rebuilt_as_it_was_tested_and_not_exported(run, trained, tmp_path, bare):
    run("CoOp", *load(trained), *BASE, *run_as(bare, "gelu"), *ALLOW, folder="other")
    other, out = tmp_path / "other", tmp_path / "labels.csv"
    assert FinishedRun(other).model().clip.architecture.text.activation == "gelu"
    pictures = predicted(other, 20)
    main(["predict", str(other), *(path for path, *_ in pictures), "--out", str(out)])
    assert [row[1] for row in read_csv(out)[1:]] == [name for _, name, _ in pictures]
    with pytest.raises(SystemExit):
        main(["export", str(other), str(tmp_path / "exported")])
    assert not (tmp_path / "exported").exists()
    change(other / "results.json", "trained_by", "backbone", "sha256", to="0" * 64)
    with pytest.raises(ValueError, match="trained with other settings: backbone"):
        FinishedRun(other).model()
