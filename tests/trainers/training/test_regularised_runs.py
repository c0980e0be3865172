"""Runs of train.py with regularisers: what they train, save and show."""

import re
from types import SimpleNamespace

import multimode_ot.training.engine as engine
import pytest
import torch
from multimode_ot.backbone.sources import read_weights
from multimode_ot.backbone.templates import ENSEMBLE_TEMPLATES
from slow_methods import Slow
from slow_regularisers import gaussian_weights, kgcoop, promptsrc

NAMES = ["zero", "one", "two", "three", "four"]
EPOCHS = 3
SHORT = (
    "DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", EPOCHS, "DATALOADER.NUM_WORKERS", 0,
    "DATASET.SUBSAMPLE_CLASSES", "base", "TRAIN.CHECKPOINT_FREQ", 1,
    "DATALOADER.TRAIN_X.BATCH_SIZE", 4, "TRAIN.PRINT_FREQ", 1,
)  # fmt: skip


def listed(method, *parts):
    return (f"TRAINER.{method.upper()}.REGULARISERS", str(tuple(parts)))


AVERAGE = ("TRAINER.IVLP.WEIGHT_AVERAGE.MEAN", 2, "TRAINER.IVLP.WEIGHT_AVERAGE.STD", 1)


def saved(folder, epoch):
    (path,) = folder.glob(f"*/model.pth.tar-{epoch}")
    return torch.load(path, weights_only=True)


def assert_equal_bits(one, other):
    assert one and one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


@pytest.fixture
def watched(monkeypatch):
    """The batches of each epoch, the prompts before the first step and at each epoch's end, the
    summaries, and the prompts of every test."""
    found = SimpleNamespace(epochs=[[]], first=None, ends=[], summaries=[], tested=[])
    step, ended = engine.training_step, engine.PromptTrainer._report_unconverged
    test = engine.PromptTrainer.test

    def prompts(model):
        state = model.prompt_learner.state_dict()
        return {key: value.clone() for key, value in state.items()}

    def watched_step(model, optimizer, scaler, images, labels):
        found.first = found.first or prompts(model)
        found.epochs[-1].append((images.double(), labels.clone()))
        found.summaries.append(step(model, optimizer, scaler, images, labels))
        return found.summaries[-1]

    def watched_end(trainer, where):
        if where == "this epoch":  # after its last step, before any hook
            found.ends.append(prompts(trainer.model))
            found.epochs.append([])
        return ended(trainer, where)

    def watched_test(trainer, split=None):
        found.tested.append(prompts(trainer.model))
        return test(trainer, split)

    monkeypatch.setattr(engine, "training_step", watched_step)
    monkeypatch.setattr(engine.PromptTrainer, "_report_unconverged", watched_end)
    monkeypatch.setattr(engine.PromptTrainer, "test", watched_test)
    return found


def assert_near(ours, slow, before, tolerance=3e-4):
    """Of each tensor, the change; relative."""
    assert ours.keys() == slow.keys()
    for key, value in slow.items():
        expected = value.detach() - before[key].double()
        gap = (ours[key].double() - before[key].double() - expected).norm() / expected.norm()
        assert gap < tolerance, (key, float(gap))


def test_kgcoop_is_a_setting_of_coop(run, watched, tmp_path):
    run("CoOp", *SHORT, *listed("CoOp", "template_consistency"))
    slow, epochs = Slow(read_weights("demo-vit").state), watched.epochs[:EPOCHS]
    assert [len(batches) for batches in epochs] == [2] * EPOCHS
    leaves = {k: v.double().requires_grad_() for k, v in watched.first.items()}
    losses = kgcoop(slow, slow.coop, leaves, epochs, NAMES, rate=0.0135)
    assert [s["loss"] for s in watched.summaries] == pytest.approx(losses, rel=1e-5)
    assert_near(saved(tmp_path / "run", EPOCHS)["state_dict"], leaves, watched.first)


def test_promptsrc_is_a_setting_of_ivlp(run, watched, tmp_path):
    parts = listed("IVLP", "frozen_consistency", "weight_average")
    run("IVLP", *SHORT, *parts, *AVERAGE)
    slow, epochs = Slow(read_weights("demo-vit").state), watched.epochs[:EPOCHS]
    leaves = {k: v.double().requires_grad_() for k, v in watched.first.items()}
    losses, last = promptsrc(
        slow, slow.ivlp, leaves, epochs, NAMES, 0.0035, ENSEMBLE_TEMPLATES, mean=2, std=1
    )
    assert [s["loss"] for s in watched.summaries] == pytest.approx(losses, rel=1e-5)
    assert_near(watched.ends[-1], last, watched.first)
    assert_near(saved(tmp_path / "run", EPOCHS)["state_dict"], leaves, watched.first)


def test_the_average_is_saved_and_tested_and_training_knows_nothing_of_it(run, watched, tmp_path):
    run("IVLP", *SHORT, folder="plain")
    plain, watched.ends = watched.ends, []
    run("IVLP", *SHORT, *listed("IVLP", "weight_average"), *AVERAGE)
    for epoch in range(1, EPOCHS + 1):
        assert_equal_bits(watched.ends[epoch - 1], plain[epoch - 1])
        assert_equal_bits(plain[epoch - 1], saved(tmp_path / "plain", epoch)["state_dict"])
        if epoch < EPOCHS:
            own = saved(tmp_path / "run", epoch)["state_dict"]
            assert_equal_bits(own, plain[epoch - 1])
    weights = gaussian_weights(EPOCHS, mean=2, std=1)
    average = saved(tmp_path / "run", EPOCHS)["state_dict"]
    for key, value in average.items():
        expected = sum(w * one[key].double() for w, one in zip(weights, plain, strict=True))
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-8)
        assert not torch.equal(value, plain[-1][key])
    assert_equal_bits(watched.tested[-1], average)
    assert len(watched.tested) == 2  # once a run


def test_on_validation_images_the_last_epoch_is_judged_by_its_average(run, watched, tmp_path):
    parts = listed("IVLP", "weight_average")
    run("IVLP", *SHORT, *parts, *AVERAGE, "TEST.FINAL_MODEL", "best_val")
    assert_equal_bits(watched.tested[EPOCHS - 2], watched.ends[EPOCHS - 2])
    average = saved(tmp_path / "run", EPOCHS)["state_dict"]
    assert_equal_bits(watched.tested[EPOCHS - 1], average)


def test_prompts_of_an_average_are_tested_again_with_the_same_result(run, tmp_path):
    parts = (*SHORT, *listed("IVLP", "weight_average"), *AVERAGE)
    run("IVLP", *parts)
    run("IVLP", "--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", EPOCHS, *parts,
        folder="again")  # fmt: skip
    one, other = ((tmp_path / f / "predictions.csv").read_text() for f in ("run", "again"))
    assert one == other


# What is shown


def curves(folder):
    """The names of the training curves with their values by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = [tag for tag in events.Tags()["scalars"] if tag.startswith("train/")]
    return {tag.removeprefix("train/"): len(events.Scalars(tag)) for tag in names}


def shown(output):
    """The names in the epoch lines, which must all have the same."""
    lines = re.findall(r"^epoch \[.*$", output, re.M)
    names = {tuple(re.findall(r"(\w+) -?[\d.]+ \(-?[\d.]+\)", line)) for line in lines}
    assert len(lines) == 2 * EPOCHS and len(names) == 1
    return [name for name in names.pop() if name not in ("time", "data")]


@pytest.mark.parametrize(
    ("method", "parts", "names"),
    [
        ("CoOp", [], ["loss", "acc"]),
        (
            "CoOp",
            ["template_consistency"],
            ["loss", "cross_entropy", "template_consistency", "acc"],
        ),
        ("CoOp", ["gradient_projection"], ["loss", "gradient_projection", "acc"]),
        ("CoOp", ["weight_average"], ["loss", "acc"]),
        (
            "MaPLe",
            ["template_consistency", "frozen_consistency", "gradient_projection"],
            [
                "loss",
                "cross_entropy",
                "template_consistency",
                "text_consistency",
                "image_consistency",
                "logit_consistency",
                "gradient_projection",
                "acc",
            ],
        ),
    ],
)
def test_terms_are_shown_by_name_in_line_log_and_curves(run, tmp_path, method, parts, names):
    output = run(method, *SHORT, *listed(method, *parts))
    assert shown(output) == names
    log = (tmp_path / "run/log.txt").read_text(encoding="utf-8")
    assert shown(log) == names
    assert curves(tmp_path / "run") == dict.fromkeys([*names, "lr"], 2 * EPOCHS)


def test_the_shown_terms_add_up_to_the_shown_loss(run):
    parts = ("template_consistency", "frozen_consistency")
    output = run("MaPLe", *SHORT, *listed("MaPLe", *parts))
    for line in re.findall(r"^epoch \[.*$", output, re.M):
        values = {k: float(v) for k, v in re.findall(r"(\w+) (-?[\d.]+) \(", line)}
        terms = [v for k, v in values.items() if k.endswith(("entropy", "consistency"))]
        assert len(terms) == 5 and abs(sum(terms) - values["loss"]) < 3e-4
