"""A run rebuilt from its folder alone is the run, and what is not that run is refused."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from dassl.data.transforms import build_transform
from dassl.utils import read_image
from multimode_ot.training.finished import FinishedRun
from random_clip import random_state
from saved_runs import change

SHORT = ("OPTIM.MAX_EPOCH", 1, "DATASET.NUM_SHOTS", 1)
BASE = ("DATASET.SUBSAMPLE_CLASSES", "base")


@pytest.fixture
def finished(run, tmp_path):
    run("CoOp", *SHORT, *BASE)
    return tmp_path / "run"


def assert_predicts_what_was_tested(folder: Path, images: int = 30) -> None:
    found = FinishedRun(folder)
    model, transform = found.model(), build_transform(found.cfg, is_train=False)
    with found.predictions_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:images]
    paths = [str(found.image_path(row["path"])) for row in rows]
    pixels = torch.stack([transform(read_image(path, found.as_seen)) for path in paths])
    with torch.no_grad():
        confidence, predicted = model(pixels).softmax(-1).max(-1)
    assert predicted.tolist() == [int(row["prediction"]) for row in rows]
    expected = torch.tensor([float(row["confidence"]) for row in rows])
    torch.testing.assert_close(confidence, expected, atol=1e-4, rtol=0)


def test_a_test_on_new_classes_finds_the_weights_of_its_training(run, finished, tmp_path):
    model = ["--eval-only", "--model-dir", finished, "--load-epoch", 1]
    new = ("DATASET.SUBSAMPLE_CLASSES", "new")
    run("CoOp", *model, *SHORT, *new, folder="new")
    assert_predicts_what_was_tested(tmp_path / "new")
    moved = shutil.move(tmp_path / "new", tmp_path / "moved")
    assert_predicts_what_was_tested(moved)
    shutil.move(finished, tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"not there any more.*--checkpoint"):
        FinishedRun(moved).model()
    (weights,) = (tmp_path / "elsewhere").glob("prompt_learner/model.pth.tar-1")
    assert FinishedRun(moved, checkpoint=weights).model().classnames[0] == "five"


def test_the_untrained_model_is_that_of_the_first_step(run, finished, monkeypatch):
    from multimode_ot.training import engine

    states = []
    build = engine.build_model

    def watched(*args, **kwargs):
        model = build(*args, **kwargs)
        states.append({k: v.clone() for k, v in model.prompt_learner.state_dict().items()})
        return model

    monkeypatch.setattr(engine, "build_model", watched)
    run("CoOp", *SHORT, *BASE, folder="again")
    rebuilt = FinishedRun(finished).model(trained=False).prompt_learner.state_dict()
    assert states[-1].keys() == rebuilt.keys()
    assert all(torch.equal(value, rebuilt[key]) for key, value in states[-1].items())


def test_a_folder_without_a_finished_run_says_so(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no such folder"):
        FinishedRun(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder of a run"):
        FinishedRun(tmp_path / "empty")
    (finished / "results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"results.json: its run is not finished"):
        FinishedRun(finished)


def test_settings_that_are_not_those_of_the_training_are_refused(finished):
    key = ("settings", "TRAINER.COOP.CLASS_TOKEN_POSITION")
    change(finished / "results.json", "made_of", *key, to="front")
    with pytest.raises(ValueError, match=r"of another run.*CLASS_TOKEN_POSITION.*'end'.*'front'"):
        FinishedRun(finished)
    change(finished / "run.json", *key, to="front")
    with pytest.raises(ValueError, match=r"model.pth.tar-1 was trained with other settings.*front"):
        FinishedRun(finished).model()


def test_classes_that_are_not_those_of_the_training_are_refused(finished):
    for file, keys in (("results.json", ("made_of", "classes")), ("run.json", ("classes",))):
        change(finished / file, *keys, to=["a", "b", "c", "d", "e"])
    with pytest.raises(ValueError, match=r"trained with other settings: classes"):
        FinishedRun(finished).model()


def test_weights_that_are_not_those_that_were_tested_are_refused(finished):
    change(finished / "results.json", "weights", to="0" * 64)
    with pytest.raises(ValueError, match=r"has other weights than those"):
        FinishedRun(finished).model()


def test_a_backbone_that_is_gone_or_another_is_named(finished, tmp_path):
    torch.save(dict(random_state("tiny-vit")), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is another one now.*--backbone"):
        FinishedRun(finished, backbone=str(tmp_path / "other.pt")).model()
    with pytest.raises(ValueError, match=r"gone\.pt.*cannot be loaded.*--backbone"):
        FinishedRun(finished, backbone=str(tmp_path / "gone.pt")).model()


def test_a_data_root_that_is_gone_is_named(finished, data):
    change(finished / "results.json", "places", "data_root", to="gone")
    with pytest.raises(FileNotFoundError, match=r"data root gone .*--root"):
        _ = FinishedRun(finished).root
    assert FinishedRun(finished, root=data).root == data


def test_results_of_another_version_of_the_method_are_refused(finished):
    for file, keys in (("results.json", ("made_of",)), ("run.json", ())):
        change(finished / file, *keys, "method_version", to=99)
    with pytest.raises(ValueError, match=r"made by version 99 of CoOp"):
        FinishedRun(finished)


def test_results_of_an_unknown_method_ask_for_its_file(finished):
    change(finished / "results.json", "method", to="Mine")
    with pytest.raises(ValueError, match=r"Mine, which is not known here.*--method-file"):
        FinishedRun(finished)
