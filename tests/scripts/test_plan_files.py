"""The `plan.json` of a run: made once, of its own weights and answers."""

import csv
import json
import sys

import pytest
import torch
from imported import CHECKOUT
from multimode_ot.explain.plans import batch_plans
from multimode_ot.training.finished import FinishedRun

sys.path.insert(0, str(CHECKOUT / "scripts"))

import plan_files
import warm
from jobs import Job
from plan_files import PLAN_FILE, plan_statistics_of
from protocol_runs import base2new_runs

FEW = ("OPTIM.MAX_EPOCH", "1", "TRAINER.MULTIMODEOT.PROMPT_DEPTH", "1")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One short run, and its results."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "FORCE"):
            patch.delenv(name, raising=False)
        folder = tmp_path_factory.mktemp("planned")
        patch.setenv("DATA", str(folder / "data"))
        patch.setenv("OUTPUT", str(folder / "out"))
        patch.setenv("OMP_NUM_THREADS", "1")
        run = base2new_runs(Job("base2new", "MultiModeOT", 1, "digits", 1, FEW))[0]
        results = run.results()
        yield run, results
        warm.stop()


def test_it_has_the_statistics_of_the_answers_that_were_evaluated(ran):
    run, results = ran
    found = plan_statistics_of(run)
    assert found["images"] == results["total"]
    assert found["accuracy"] == pytest.approx(results["accuracy"])
    assert json.loads((run.directory / PLAN_FILE).read_text()) == {
        "version": plan_files.VERSION,
        "weights": results["weights"],
        "statistics": found,
    }


@torch.no_grad()
def test_its_batches_are_those_of_the_evaluation(ran):
    """Image by image: the plans' predictions are those of `predictions.csv`."""
    run, _ = ran
    with (run.directory / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    model, labels, predicted = FinishedRun(run.directory).model(), [], []
    for images, truth in plan_files._test_batches(run, "test"):
        predicted += batch_plans(model, images).similarity.argmax(-1).tolist()
        labels += truth.tolist()
    assert labels == [int(line["label"]) for line in lines]
    assert predicted == [int(line["prediction"]) for line in lines]


def test_it_is_made_once(ran, monkeypatch):
    run, _ = ran
    first = plan_statistics_of(run)
    monkeypatch.setattr(plan_files, "_compute", lambda run: pytest.fail("made again"))
    assert plan_statistics_of(run) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"weights": "', '"weights": "of others '),
        lambda text: text.replace('"version": ', '"version": 9'),
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
    ],
    ids=["other weights", "other version", "cut off", "something else"],
)
def test_one_of_other_weights_or_a_damaged_one_is_made_again(ran, monkeypatch, damage):
    run, _ = ran
    right = plan_statistics_of(run)
    file = run.directory / PLAN_FILE
    file.write_text(damage(file.read_text()))
    monkeypatch.setattr(plan_files, "_compute", lambda run: right)
    assert plan_statistics_of(run) == right
    assert json.loads(file.read_text())["statistics"] == right
    assert not list(run.directory.glob("*.tmp")) and not list(run.directory.glob(".*.tmp"))


def test_a_run_whose_weights_are_gone_is_one_clear_error(ran):
    run, _ = ran
    plan_statistics_of(run)
    (run.directory / PLAN_FILE).unlink()
    (folder,) = [p for p in run.directory.iterdir() if p.name == "MultiModalPromptLearner"]
    hidden = folder.rename(folder.with_name("elsewhere"))
    try:
        with pytest.raises(FileNotFoundError, match="weights"):
            plan_statistics_of(run)
        assert not (run.directory / PLAN_FILE).exists()
    finally:
        hidden.rename(folder)
