"""Runs of train.py whose steps want two views of an image, and files that only training reads."""

import json
import shutil

import multimode_ot.training.engine as engine
import pytest
import torch
from multimode_ot.methods.descriptions import SHIPPED

SHORT = (
    "DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 2, "DATASET.SUBSAMPLE_CLASSES", "base",
    "DATALOADER.TRAIN_X.BATCH_SIZE", 5, "TRAIN.PRINT_FREQ", 1,
)  # fmt: skip
STILL = ("OPTIM.LR", 0.0, "OPTIM.WARMUP_EPOCH", -1)
FILE = "TRAINER.COPROMPT.DESCRIPTIONS"


@pytest.fixture
def given(monkeypatch):
    """What the steps of a run are given."""
    found, step = [], engine.training_step

    def watched(model, optimizer, scaler, images, labels):
        found.append(images)
        return step(model, optimizer, scaler, images, labels)

    monkeypatch.setattr(engine, "training_step", watched)
    return found


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_each_step_is_given_two_augmentations_of_the_same_images(run, given, tmp_path):
    said = run("CoPrompt", *SHORT)
    assert len(given) == 4  # ten images in batches of five
    for first, second in given:
        assert first.shape == second.shape == (5, 3, 32, 32)
        assert not torch.equal(first, second)
        # Crops of a picture are more like each other than like those of others.
        apart = torch.cdist(first.flatten(1), second.flatten(1))
        assert apart.diagonal().mean() < apart.mean()
    for term in ("cross_entropy", "description_consistency", "view_consistency"):
        assert term in said
    assert results(tmp_path / "run")["made_of"]["training_files"].keys() == {"DESCRIPTIONS"}


def test_the_loader_must_give_as_many_views_as_the_method_wants(run, refused):
    one = refused(run, "CoPrompt", *SHORT, "DATALOADER.K_TRANSFORMS", 1)
    assert "DATALOADER.K_TRANSFORMS is 1, but must be 2" in one and "CoPrompt" in one
    two = refused(run, "MaPLe", *SHORT, "DATALOADER.K_TRANSFORMS", 2)
    assert "DATALOADER.K_TRANSFORMS is 2, but must be 1" in two and "MaPLe" in two


def test_training_without_descriptions_is_refused_and_leaves_nothing(run, refused, tmp_path):
    line = refused(run, "CoPrompt", *SHORT, FILE, "")
    assert "TRAINER.COPROMPT.DESCRIPTIONS ''" in line and "ShuvenduRoy/CoPrompt" in line
    assert not (tmp_path / "run").exists()


def test_prompts_are_tested_without_the_file_and_with_the_same_result(run, tmp_path):
    own = tmp_path / "own.json"
    shutil.copy(SHIPPED / "digits.json", own)
    run("CoPrompt", *SHORT, FILE, own)
    own.unlink()
    tested = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 2)
    for named in ("", own):
        folder = f"tested {bool(named)}"
        run("CoPrompt", *tested, *SHORT, FILE, named, folder=folder)
        assert results(tmp_path / folder)["weights"] == results(tmp_path / "run")["weights"]
        assert results(tmp_path / folder)["correct"] == results(tmp_path / "run")["correct"]


def test_of_a_file_the_content_counts_and_not_the_name(run, refused, tmp_path):
    own, other = tmp_path / "own.json", tmp_path / "other.json"
    shutil.copy(SHIPPED / "digits.json", own)
    run("CoPrompt", *SHORT, FILE, own)
    own.rename(other)
    run("CoPrompt", *SHORT, FILE, other)  # resumes: there is nothing left to do
    other.write_text(other.read_text().replace("handwritten", "written"))
    assert "training_files" in refused(run, "CoPrompt", *SHORT, FILE, other)


def test_only_the_prompts_of_a_stage_are_given_to_the_optimiser(run, tmp_path):
    first = ("TRAINER.PLOTPP.MODEL_UPD", "vision", "TRAINER.PLOTPP.TRADE_OFF", True)
    said = run("PLOTPP", *SHORT, *first, "OPTIM.LR", 0.1, "OPTIM.WEIGHT_DECAY", 0.5)
    (file,) = (tmp_path / "run").glob("*/model.pth.tar-2")
    saved = torch.load(file, weights_only=True)
    assert len(saved["optimizer"]["param_groups"][0]["params"]) == 1
    ctx_vision = saved["state_dict"]["prompt_learner.ctx_vision"]
    assert f"{ctx_vision.numel():,} trained parameters" in said
    assert results(tmp_path / "run")["trained_parameters"] == ctx_vision.numel()
    run("PLOTPP", *SHORT, "MODEL.INIT_WEIGHTS", file, *STILL, folder="second")
    (file,) = (tmp_path / "second").glob("*/model.pth.tar-2")
    second = torch.load(file, weights_only=True)
    assert len(second["optimizer"]["param_groups"][0]["params"]) == 2
    for key, value in saved["state_dict"].items():  # nothing was learned since
        torch.testing.assert_close(second["state_dict"][key], value, atol=1e-6, rtol=0)
    # Weight decay has left the words as they were.
    run("PLOTPP", *SHORT, *first, *STILL, folder="words")
    (file,) = (tmp_path / "words").glob("*/model.pth.tar-2")
    words = torch.load(file, weights_only=True)["state_dict"]["prompt_learner.ctx"]
    assert torch.equal(words, saved["state_dict"]["prompt_learner.ctx"])
