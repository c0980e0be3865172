"""Searches of hyper-parameters: on which images, what results say of it, and what is refused."""

import json

import pytest
import torch
from fewshot_datasets.digits import Digits
from multimode_ot.methods.tuning import accuracy, nearest_best

BASE = ("DATASET.NUM_SHOTS", 2, "DATASET.SUBSAMPLE_CLASSES", "base", "DATALOADER.NUM_WORKERS", 0)
STEPS = ("TRAINER.TIPADAPTER.SEARCH_STEP", "(8, 8)")


def tune(on):
    return (*STEPS, "TRAINER.TIPADAPTER.TUNE", on)


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_fixed_values_are_no_selection(run, tmp_path):
    run("TipAdapter", *BASE)
    found = results(tmp_path / "run")
    assert found["selection"] == {"rule": "last_step", "epoch": 1, "split": None}
    assert "chosen" not in found


@pytest.mark.parametrize("method", ["TipAdapter", "TipAdapterF"])
def test_results_say_on_which_images_and_what_was_chosen(run, tmp_path, method):
    node = f"TRAINER.{method.upper()}."
    given = (*BASE, node + "SEARCH_STEP", "(8, 8)", node + "TUNE")
    for on in ("val", "test"):
        run(method, *given, on, "OPTIM.MAX_EPOCH", 1, folder=on)
        found = results(tmp_path / on)
        assert found["selection"]["tuned"] == found["selection"]["split"] == on
        assert (found["selection"].get("remark") == "selected on test") == (on == "test")
        assert set(found["chosen"]) == {"ALPHA", "BETA"}
        (path,) = (tmp_path / on).glob("*/model.pth.tar-1")
        saved = torch.load(path, weights_only=True)["state_dict"]
        assert float(saved["alpha"]) == pytest.approx(found["chosen"]["ALPHA"])
        assert float(saved["beta"]) == pytest.approx(found["chosen"]["BETA"])
        assert found["made_of"]["settings"][node + "TUNE"] == on
    fixed = (*BASE, "OPTIM.MAX_EPOCH", 1)
    run(method, *fixed, folder="fixed")
    assert results(tmp_path / "test")["correct"] >= results(tmp_path / "fixed")["correct"]


def test_what_was_chosen_is_loaded_and_said_again(run, tmp_path):
    run("TipAdapter", *BASE, *tune("val"))
    load = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1)
    run("TipAdapter", *load, *BASE, *tune("val"), folder="again")
    one, other = results(tmp_path / "run"), results(tmp_path / "again")
    assert one["chosen"] == other["chosen"] and one["selection"] == other["selection"]
    assert one["correct"] == other["correct"]


def without_validation_images(monkeypatch, taken=lambda split: []):
    split = Digits.load_split.__func__
    changed = lambda cls, *a, **k: (s := split(cls, *a, **k))._replace(val=taken(s))  # noqa: E731
    monkeypatch.setattr(Digits, "load_split", classmethod(changed))


def test_a_search_on_validation_images_needs_some(run, refused, monkeypatch):
    without_validation_images(monkeypatch)
    line = refused(run, "TipAdapter", *BASE, *tune("val"))
    assert "TRAINER.TIPADAPTER.TUNE 'val': " in line and "no validation images" in line
    assert "use 'none'" in line
    run("TipAdapter", *BASE, *tune("none"))


def test_it_is_refused_where_they_are_the_test_images(run, refused, monkeypatch):
    """As the readers of ImageNet have it."""
    without_validation_images(monkeypatch, lambda split: split.test)
    line = refused(run, "TipAdapter", *BASE, *tune("val"))
    assert "TRAINER.TIPADAPTER.TUNE 'val': " in line and "are its test images" in line
    run("TipAdapter", *BASE, *tune("none"))


def test_of_equal_points_the_nearest_to_the_fixed_ones_is_taken():
    points = [(1.0, 1.0), (2.0, 8.0), (8.0, 8.0), (4.0, 1.0)]
    assert nearest_best(points, [3, 5, 5, 5], (1.0, 1.0)) == (4.0, 1.0)
    assert nearest_best(points, [3, 5, 5, 4], (8.0, 7.0)) == (8.0, 8.0)
    assert nearest_best(points, [9, 5, 5, 4], (8.0, 7.0)) == (1.0, 1.0)


def test_distance_is_one_of_scales():
    assert nearest_best([(0.1,), (1.5,)], [1, 1], (0.5,)) == (1.5,)
    assert nearest_best([(0.25,), (1.5,)], [1, 1], (0.5,)) == (0.25,)


def test_accuracy_counts_the_largest_logit():
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 4.0], [1.0, 0.0]])
    assert accuracy(logits, torch.tensor([0, 0, 1, 1])) == 0.5
