"""Runs of train.py know what they are made of: nothing of another run is ever reported."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

SHORT = ("DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 2, "DATALOADER.NUM_WORKERS", 0)
BASE = (*SHORT, "DATASET.SUBSAMPLE_CLASSES", "base")


def results(folder):
    return json.loads((folder / "results.json").read_text())


def snapshot(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def trained(run, tmp_path):
    run("CoOp", *BASE)
    return tmp_path / "run"


def test_settings_data_classes_backbone_and_version_stand_in_every_file(run, trained):
    made_of = results(trained)["made_of"]
    assert made_of["settings"]["OPTIM.MAX_EPOCH"] == 2
    assert made_of["classes"] == ["zero", "one", "two", "three", "four"]
    assert made_of["data"]["train"]["images"] == 10
    assert made_of["backbone"]["name"] == "demo-vit" and len(made_of["backbone"]["sha256"]) == 64
    assert (made_of["method"], made_of["method_version"]) == ("CoOp", 1)
    saved = torch.load(trained / "prompt_learner/model.pth.tar-2", weights_only=True)
    assert saved["scheduler"]["made_of"] == made_of
    assert made_of.items() <= json.loads((trained / "run.json").read_text()).items()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((*BASE, "OPTIM.LR", 5.0), "OPTIM.LR is 0.0135 there and 5.0 here"),
        ((*BASE, "DATASET.NUM_SHOTS", 1), "DATASET.NUM_SHOTS is 2 there and 1 here"),
        ((*BASE, "DATASET.SUBSAMPLE_CLASSES", "new"), "'base' there and 'new' here"),
        (("--seed", 2, *BASE), "SEED is 1 there and 2 here"),
        ((*BASE, "OPTIM.MAX_EPOCH", 3), "OPTIM.MAX_EPOCH is 2 there and 3 here"),
    ],
)
def test_other_settings_are_refused_and_change_nothing(run, refused, trained, options, words):
    before = snapshot(trained)
    line = refused(run, "CoOp", *options)
    assert words in line and str(trained) in line
    assert snapshot(trained) == before


def test_another_method_is_refused(run, refused, trained):
    assert "method is 'CoOp' there and 'MaPLe' here" in refused(run, "MaPLe", *BASE)


def test_the_same_command_again_tests_the_same_weights(run, trained):
    first = results(trained)
    assert "This run is complete" in run("CoOp", *BASE)
    again = results(trained)
    assert again["weights"] == first["weights"] and again["correct"] == first["correct"]
    assert again["made_of"] == first["made_of"]


def test_other_data_of_the_same_name_are_refused(run, refused, trained, data, tmp_path):
    shutil.copytree(data / "digits", tmp_path / "moved" / "digits")
    assert "This run is complete" in run("CoOp", *BASE, root=tmp_path / "moved")
    for image in (tmp_path / "moved/digits/images").rglob("*.png"):
        Image.new("L", (9, 9)).save(image)
    line = refused(run, "CoOp", *BASE, root=tmp_path / "moved")
    assert "train images (paths, labels, sizes)" in line


def test_weights_are_not_tested_under_settings_that_did_not_train_them(run, refused, trained):
    load = ["--eval-only", "--model-dir", trained, "--load-epoch", 2]
    new = (*SHORT, "DATASET.SUBSAMPLE_CLASSES", "new")
    run("CoOp", *load, *new, folder="new")
    tested = results(trained.parent / "new")
    assert tested["weights"] == results(trained)["weights"]
    assert tested["trained_by"] == results(trained)["made_of"]
    line = refused(run, "CoOp", *load, *new, "OPTIM.LR", 5.0, folder="other")
    assert "trained with other settings: OPTIM.LR is 0.0135 there and 5.0 here" in line
    assert not (trained.parent / "other").exists()


def test_a_test_that_names_no_shots_reports_those_that_trained(run, trained):
    load = ["--eval-only", "--model-dir", trained, "--load-epoch", 2]
    run("CoOp", *load, *SHORT, "DATASET.NUM_SHOTS", -1, folder="all")
    assert results(trained.parent / "all")["shots"] == 2


def test_results_of_a_training_are_not_replaced_by_those_of_another_epoch(run, refused, tmp_path):
    run("CoOp", *BASE, "TRAIN.CHECKPOINT_FREQ", 1)
    before = snapshot(tmp_path / "run")
    first = ["--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1]
    assert "other weights (epoch 2; asked for: epoch 1)" in refused(run, "CoOp", *first, *BASE)
    assert snapshot(tmp_path / "run") == before
    run("CoOp", *first, *BASE, folder="first")
    assert results(tmp_path / "first")["selection"] == {"rule": "epoch", "epoch": 1, "split": None}


def test_checkpoints_of_another_run_are_not_resumed(run, refused, trained, tmp_path):
    line = refused(run, "CoOp", "--resume", trained, *BASE, "OPTIM.LR", 5.0, folder="resumed")
    assert "checkpoints of another run" in line and "OPTIM.LR" in line
    assert not (tmp_path / "resumed").exists()


def test_older_checkpoints_of_another_run_are_not_resumed_either(run, refused, tmp_path):
    run("CoOp", *BASE, "TRAIN.CHECKPOINT_FREQ", 1)
    newest = tmp_path / "run/prompt_learner/model.pth.tar-2"
    newest.write_bytes(newest.read_bytes()[:900])
    other = ("--resume", tmp_path / "run", *BASE, "OPTIM.LR", 5.0)
    assert "checkpoints of another run" in refused(run, "CoOp", *other, folder="resumed")


def test_initial_weights_that_are_only_tested_are_tested_as_what_trained_them(
    run, refused, trained, tmp_path
):
    weights = ("MODEL.INIT_WEIGHTS", trained / "prompt_learner/model.pth.tar-2")
    run("CoOp", "--eval-only", *BASE, "DATASET.NUM_SHOTS", -1, *weights, folder="tested")
    found, first = results(tmp_path / "tested"), results(trained)
    for key in ("shots", "seed", "epoch", "selection", "correct", "weights"):
        assert found[key] == first[key], key
    assert found["trained_by"] == first["made_of"]
    line = refused(run, "CoOp", "--eval-only", *BASE, "OPTIM.LR", 5.0, *weights, folder="other")
    assert "trained with other settings: OPTIM.LR is 0.0135 there and 5.0 here" in line


def forget_record(folder):
    """Leave a folder as an earlier version would have."""
    (folder / "run.json").unlink()
    old = results(folder)
    for key in ("made_of", "weights", "trained_by", "selection"):
        del old[key]
    (folder / "results.json").write_text(json.dumps(old))


def test_files_of_earlier_versions_load_with_one_line_on_what_is_not_checked(run, trained):
    forget_record(trained)
    path = trained / "prompt_learner/model.pth.tar-2"
    saved = torch.load(path, weights_only=True)
    del saved["scheduler"]["made_of"]
    torch.save(saved, path)
    output = run("CoOp", *BASE)
    assert output.count("cannot be checked") == 2  # of the results, and of the checkpoint
    assert "This run is complete" in output
    load = ["--eval-only", "--model-dir", trained, "--load-epoch", 2]
    output = run("CoOp", *load, *BASE, "OPTIM.LR", 5.0, folder="again")
    assert output.count("cannot be checked") == 1


def test_results_of_an_earlier_version_with_other_settings_are_refused(run, refused, trained):
    forget_record(trained)
    line = refused(run, "CoOp", *BASE, "OPTIM.LR", 5.0)
    assert "made by an earlier version, with other settings" in line


def test_contexts_of_fixed_classes_refuse_others(run, refused, tmp_path):
    own = ("TRAINER.COOP.CSC", True, "TRAINER.COOP.CTX_INIT", "")
    run("CoOp", *BASE, *own)
    load = ["--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 2]
    new = (*SHORT, *own, "DATASET.SUBSAMPLE_CLASSES", "new")
    line = refused(run, "CoOp", *load, *new, folder="new")
    assert "class 0 is 'zero' there and 'five' here" in line
    run("CoOp", *load, *BASE, *own, folder="base")
    assert results(tmp_path / "base")["correct"] == results(tmp_path / "run")["correct"]


def test_prompts_of_the_released_program_say_which_head_made_their_numbers(run, tmp_path):
    run("ALIGN", *BASE, "OPTIM.MAX_EPOCH", 1, "TEST.NO_TEST", True)
    path = tmp_path / "run/MultiModalPromptLearner/model.pth.tar-1"
    saved = torch.load(path, weights_only=True)
    saved["state_dict"]["prompt_learner.token_prefix"] = torch.zeros(20, 1, 64)
    torch.save({"state_dict": saved["state_dict"], "epoch": 1}, path)
    load = ["--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1]
    output = run("ALIGN", *load, *BASE, folder="paper")
    assert "its numbers were made with TRAINER.ALIGN.HEAD 'released'" in output
    output = run("ALIGN", *load, *BASE, "TRAINER.ALIGN.HEAD", "released", folder="released")
    assert "numbers were made" not in output


# Selection, and what is in the results


def test_the_results_have_a_prediction_for_each_image_that_makes_their_numbers(run, trained):
    found = results(trained)
    with (trained / "predictions.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "label", "prediction", "confidence"]
    assert len(rows) == found["total"]
    hits = [row["label"] == row["prediction"] for row in rows]
    assert sum(hits) == found["correct"]
    by_class = {}
    for row, hit in zip(rows, hits, strict=True):
        by_class.setdefault(row["label"], []).append(hit)
    assert found["mean_class_accuracy"] == pytest.approx(
        100 * np.mean([np.mean(h) for h in by_class.values()])
    )
    assert re.fullmatch(r"digits/images/[a-z]+/\d{4}\.png", rows[0]["path"])
    assert found["top5"] == 100  # of five classes
    assert found["trained_parameters"] > 0 and found["device"] == "cpu"
    assert found["selection"] == {"rule": "last_step", "epoch": 2, "split": None}


def test_the_best_on_validation_images_is_named_with_its_epoch(run, tmp_path):
    run("CoOp", *BASE, "TEST.FINAL_MODEL", "best_val")
    best = torch.load(tmp_path / "run/prompt_learner/model-best.pth.tar", weights_only=True)
    found = results(tmp_path / "run")
    assert found["selection"] == {"rule": "best_val", "epoch": best["epoch"], "split": "val"}
    assert found["epoch"] == best["epoch"]


def test_nothing_is_chosen_on_test_images(run, refused, tmp_path, monkeypatch):
    from fewshot_datasets.digits import Digits

    split = Digits.load_split.__func__
    without = classmethod(lambda cls, *a, **k: split(cls, *a, **k)._replace(val=[]))
    monkeypatch.setattr(Digits, "load_split", without)
    line = refused(run, "CoOp", *BASE, "TEST.FINAL_MODEL", "best_val")
    assert "TEST.FINAL_MODEL 'best_val'" in line and "no validation images" in line
    assert "TEST.SPLIT 'val'" in refused(run, "CoOp", *BASE, "TEST.SPLIT", "val")
    assert "TEST.SPLIT 'val'" in refused(run, "ZeroshotCLIP", *BASE, "TEST.SPLIT", "val")
    assert not (tmp_path / "run").exists()


def test_images_that_are_not_normalised_are_remarked_on(run):
    plain = ("--eval-only", *BASE, "INPUT.TRANSFORMS", "('random_flip',)")
    assert "INPUT.TRANSFORMS has no 'normalize'" in run("ZeroshotCLIP", *plain)


@pytest.mark.parametrize(("key", "value"), [("SPLIT", "vall"), ("FINAL_MODEL", "best")])
def test_an_unknown_way_to_test_is_no_other_one(run, refused, key, value):
    assert f"TEST.{key} {value!r} is unknown" in refused(run, "CoOp", *BASE, f"TEST.{key}", value)


def test_weights_chosen_on_test_images_by_a_published_reader_are_marked(run, tmp_path, monkeypatch):
    from fewshot_datasets.digits import Digits

    monkeypatch.setattr(Digits, "val_is_test", True)
    run("CoOp", *BASE, "TEST.FINAL_MODEL", "best_val")
    assert results(tmp_path / "run")["selection"]["split"] == "test"


def test_untrained_prompts_are_not_tested_by_oversight(run, refused):
    assert "--model-dir" in refused(run, "CoOp", "--eval-only", *BASE)


def test_results_stand_before_anything_is_printed_that_could_fail(run, tmp_path, monkeypatch):
    from dassl.evaluation import Classification

    def fails(self):
        raise UnicodeEncodeError("cp1252", "狐", 0, 1, "no such character")

    monkeypatch.setattr(Classification, "evaluate", fails)
    with pytest.raises(UnicodeEncodeError):
        run("ZeroshotCLIP", *BASE)
    assert results(tmp_path / "run")["total"] > 0
