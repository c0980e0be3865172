"""On the same pictures in the same order, with the same seed, `Classifier` learns the same weights
as the trainer, to the bit, and labels with the same confidence."""

import csv
import json

import multimode_ot.training.engine as engine
import pytest
import torch
from imported import CHECKOUT
from multimode_ot import Classifier
from multimode_ot.classifier.inputs import few_shot
from multimode_ot.methods import find_method

SHOTS, EPOCHS = 2, 2
SHORT = ("DATASET.NUM_SHOTS", SHOTS, "DATASET.SUBSAMPLE_CLASSES", "base",
         "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)  # fmt: skip
DESCRIPTIONS = CHECKOUT / "trainers/multimode_ot/methods/described/digits.json"
# By a name: the method, its settings, and how many epochs.
CASES = {
    "ALIGN": ("ALIGN", {}, EPOCHS),
    "MultiModeOT": ("MultiModeOT", {}, 1),
    "CoOp": ("CoOp", {}, EPOCHS),
    "CoOp for fixed classes": ("CoOp", {"CSC": True, "CTX_INIT": ""}, EPOCHS),
    "CoCoOp": ("CoCoOp", {}, 1),
    "two regularisers": ("PromptSRC", {}, EPOCHS),
    "gradient projection": ("ProGrad", {}, EPOCHS),
    "regularisers by their names": (
        "CoOp", {"REGULARISERS": ("template_consistency", "weight_average")}, EPOCHS,
    ),
    "several views, which RandAugment makes": (
        "CoPrompt", {"DESCRIPTIONS": str(DESCRIPTIONS)}, EPOCHS,
    ),
    "PLOT": ("PLOT", {}, EPOCHS),
    "features of several passes": ("TaskRes", {"VIEWS": 2}, 3),
    "features of a new pass in each epoch": ("CLIPAdapter", {"VIEWS": 0}, 3),
    "features shuffled among passes": ("ZSLP", {}, EPOCHS),
    "a cache": ("TipAdapter", {}, 1),
    "a cache that is tuned": ("TipAdapterF", {}, EPOCHS),
    "fitted at once": ("LPPP", {}, 1),
    "fitted at once, by a linear probe": ("LinearProbe", {}, 1),
    "steps by their number": ("CLIPLoRA", {"ITERATIONS_PER_SHOT": 6}, 3),
    "TCP": ("TCP", {}, EPOCHS),
    "MMA": ("MMA", {}, EPOCHS),
}  # fmt: skip


@pytest.fixture
def trainers(monkeypatch):
    """All trainers that are built."""
    found, build = [], engine.PromptTrainer.build_model

    def watched(self):
        found.append(self)
        build(self)

    monkeypatch.setattr(engine.PromptTrainer, "build_model", watched)
    return found


def fitted(trainer, method, settings, epochs, **more):
    """A classifier of the pictures that a trainer has had."""
    dataset = trainer.dm.dataset
    made = Classifier(
        method,
        trainer.cfg.MODEL.BACKBONE.NAME,
        classnames=dataset.classnames,
        config=CHECKOUT / f"configs/trainers/{method}/demo.yaml",
        epochs=epochs,
        batch_size=4,
        settings=settings,
        random_state=1,
        **more,
    )
    return made.fit(*pictures(dataset.train_x), validation=pictures(dataset.val))


def pictures(items):
    return [item.impath for item in items], [item.label for item in items]


def assert_same_weights(classifier, trainer):
    one = classifier.model_.prompt_learner.state_dict()
    other = trainer.model.prompt_learner.state_dict()
    assert one.keys() == other.keys() and one
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


def options(method, settings):
    node = f"TRAINER.{method.upper()}"
    return [word for key, value in settings.items() for word in (f"{node}.{key}", value)]


# One of each kind in the ordinary run, all in the long one.
ALIKE = ("MultiModeOT", "CoOp for fixed classes", "CoCoOp", "PLOT", "TCP", "MMA",
         "gradient projection", "regularisers by their names", "features shuffled among passes",
         "a cache that is tuned", "fitted at once, by a linear probe")  # fmt: skip
NAMES = [pytest.param(n, marks=[pytest.mark.long] if n in ALIKE else []) for n in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_confidences_are_the_trainers_to_the_bit(run, tmp_path, trainers, name):
    method, settings, epochs = CASES[name]
    run(method, *SHORT, "OPTIM.MAX_EPOCH", epochs, *options(method, settings))
    (trainer,) = trainers
    global_state = torch.get_rng_state()
    classifier = fitted(trainer, method, settings, epochs)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert_same_weights(classifier, trainer)
    with open(tmp_path / "run/predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = classifier.predict_proba(pictures(trainer.dm.dataset.test)[0])
    assert [int(row["prediction"]) for row in rows] == found.argmax(1).tolist()
    assert [row["confidence"] for row in rows] == [f"{p:.6f}" for p in found.max(1)]


@pytest.mark.long
def test_so_are_those_of_a_method_that_is_trained_in_stages(run, tmp_path, trainers):
    method, given = "PLOTPP", ("OPTIM.MAX_EPOCH", EPOCHS)
    first, last = (options(method, stage.settings) for stage in find_method(method).stages)
    run(method, *SHORT, *given, *first, folder="first")
    weights = tmp_path / f"first/prompt_learner/model.pth.tar-{EPOCHS}"
    run(method, *SHORT, *given, *last, "MODEL.INIT_WEIGHTS", weights)
    classifier = fitted(trainers[1], method, {}, EPOCHS)
    assert_same_weights(classifier, trainers[1])
    assert len(classifier.history_) == 2 * EPOCHS and classifier.best_epoch_ == EPOCHS


def test_so_are_those_of_the_epoch_that_is_best_on_validation_pictures(run, trainers, tmp_path):
    epochs = 4
    run("CoOp", *SHORT, "OPTIM.MAX_EPOCH", epochs, "TEST.FINAL_MODEL", "best_val")
    classifier = fitted(trainers[0], "CoOp", {}, epochs, best_epoch=True)
    assert_same_weights(classifier, trainers[0])
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert classifier.best_epoch_ == results["selection"]["epoch"]
    found = [epoch["val_accuracy"] for epoch in classifier.history_]
    assert len(found) == epochs and found.index(max(found)) + 1 == classifier.best_epoch_


def test_shots_are_those_that_the_readers_pick(run, trainers):
    run("ZeroshotCLIP", "DATALOADER.NUM_WORKERS", 0, folder="all")
    run("CoOp", *SHORT, "DATASET.SUBSAMPLE_CLASSES", "all", "OPTIM.MAX_EPOCH", 1)
    everything, picked = (trainer.dm.dataset.train_x for trainer in trainers)
    labels = [item.label for item in everything]
    assert [everything[i].impath for i in few_shot(labels, SHOTS, 1)] == [
        item.impath for item in picked
    ]
