"""Image features made before training: once, in order, all of them; training on them is training
on images, also when it is stopped and started again."""

import json

import multimode_ot.training.engine as engine
import pytest
import torch
from dassl.engine import TrainerX
from dassl.utils import read_image
from multimode_ot.methods.clip_adapter import CLIPAdapter
from multimode_ot.methods.on_features import OnFeatures
from multimode_ot.methods.taskres import TaskRes
from multimode_ot.methods.tip_adapter import TipAdapter
from multimode_ot.methods.tip_adapter_f import TipAdapterF
from same_runs import assert_ended_alike, assert_same, last_checkpoint, stopping

EPOCHS = 3
BASE = ("DATASET.NUM_SHOTS", 2, "DATASET.SUBSAMPLE_CLASSES", "base", "DATALOADER.NUM_WORKERS", 0)
SHORT = (*BASE, "OPTIM.MAX_EPOCH", EPOCHS, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)
PLAIN = ("INPUT.TRANSFORMS", "('normalize',)")  # every view of an image is the same
IMAGES = 10


def views(method, count):
    return (f"TRAINER.{method.upper()}.VIEWS", count)


def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture
def watched(monkeypatch):
    """What is encoded, as shapes; what is collected; the loader that it is made from; the batches
    of the steps."""
    found = {"encoded": [], "collected": [], "loaders": [], "steps": []}
    encode, in_order, step = OnFeatures.image_features, engine.in_order, engine.training_step

    def watched_encode(model, images):
        found["encoded"].append(tuple(images.shape))
        return encode(model, images)

    def watched_in_order(cfg, images, seen_as):
        found["loaders"].append((images, seen_as))
        return in_order(cfg, images, seen_as)

    def watched_step(model, optimizer, scaler, images, labels):
        found["steps"].append((images.clone(), labels.clone()))
        return step(model, optimizer, scaler, images, labels)

    def collect(model, features, labels):
        found["collected"].append((features.clone(), labels.clone()))
        found["model"] = model

    monkeypatch.setattr(OnFeatures, "image_features", watched_encode)
    monkeypatch.setattr(OnFeatures, "collect", collect)
    monkeypatch.setattr(engine, "in_order", watched_in_order)
    monkeypatch.setattr(engine, "training_step", watched_step)
    return found


def test_each_view_of_each_image_is_encoded_once(run, watched):
    output = run("TaskRes", *SHORT, *views("TaskRes", 2), "TEST.NO_TEST", "True")
    images = [shape[0] for shape in watched["encoded"] if len(shape) == 4]
    assert sum(images) == 2 * IMAGES
    assert f"Made 2 x {IMAGES} features of the training images" in output
    assert all(images.ndim == 2 for images, _ in watched["steps"])
    assert len(watched["steps"]) == EPOCHS * 2  # whole batches alone


def test_features_are_in_the_order_of_the_list_and_none_is_left_out(run, watched, monkeypatch):
    monkeypatch.setattr(TaskRes, "augmented", False)
    # The last batch of the encoding is a smaller one.
    run("TaskRes", *SHORT, *views("TaskRes", 2), "DATALOADER.TEST.BATCH_SIZE", 4)
    ((features, labels),), ((loader, test_loader),) = watched["collected"], watched["loaders"]
    model = watched["model"]
    items = loader.dataset.data_source
    assert labels.tolist() == [item.label for item in items] and len(items) == IMAGES
    transform = test_loader.dataset.transform
    for features_of_a_pass in features:
        for item, feature in zip(items, features_of_a_pass, strict=True):
            alone = model.image_features(transform(read_image(item.impath))[None])[0]
            torch.testing.assert_close(feature, alone, atol=1e-5, rtol=1e-5)


def test_augmented_passes_differ_and_each_epoch_takes_the_next(run, watched):
    run("TaskRes", *SHORT, *views("TaskRes", 2), "DATALOADER.TRAIN_X.BATCH_SIZE", IMAGES)
    ((features, labels),) = watched["collected"]
    assert features.shape[:2] == (2, IMAGES) and not torch.equal(*features)
    assert len(watched["steps"]) == EPOCHS
    for epoch, (seen, classes) in enumerate(watched["steps"]):
        view = features[epoch % 2]
        rows = [int((view == row).all(1).nonzero()) for row in seen]
        assert sorted(rows) == list(range(IMAGES)) and torch.equal(labels[rows], classes)


def trained(folder):
    return last_checkpoint(folder, EPOCHS)["state_dict"]


@pytest.mark.parametrize("method", ["TaskRes", "CLIPAdapter", "TipAdapterF"])
def test_numbers_are_those_of_training_on_images_where_the_views_are_the_same(
    run, tmp_path, method
):
    given = (*SHORT, *PLAIN, "DATALOADER.TRAIN_X.BATCH_SIZE", IMAGES)
    for count in (0, 1, 2):
        run(method, *given, *views(method, count), folder=f"views{count}")
    on_images = trained(tmp_path / "views0")
    for count in (1, 2):
        for key, value in trained(tmp_path / f"views{count}").items():
            torch.testing.assert_close(value, on_images[key], atol=1e-5, rtol=1e-5)
    one, other = (results(tmp_path / f"views{count}") for count in (0, 1))
    assert one["correct"] == other["correct"]


def test_a_last_batch_is_kept_where_the_method_says_so(run, monkeypatch):
    for count in (0, 1):
        sizes = []
        step = engine.training_step

        def watched_step(model, optimizer, scaler, images, labels, step=step, sizes=sizes):
            sizes.append(len(images))
            return step(model, optimizer, scaler, images, labels)

        with monkeypatch.context() as patch:
            patch.setattr(engine, "training_step", watched_step)
            run("TipAdapterF", *SHORT, *views("TipAdapterF", count), folder=f"views{count}")
        assert sizes == [4, 4, 2] * EPOCHS


# Stopped, and started again

EACH_EPOCH = ("TRAIN.CHECKPOINT_FREQ", 1)
EACH_BATCH = ("TRAIN.CHECKPOINT_BATCHES", 1)
TUNED = ("TRAINER.TIPADAPTERF.TUNE", "val", "TRAINER.TIPADAPTERF.SEARCH_STEP", "(5, 5)")
RUNS = {
    "TaskRes": views("TaskRes", 2),
    "CLIPAdapter": views("CLIPAdapter", 0),
    "TipAdapterF": (*views("TipAdapterF", 2), *TUNED),
}
MOMENTS = {
    "within an epoch": (EACH_BATCH, engine, "training_step", 4),
    "between epochs": (EACH_EPOCH, engine, "training_step", 4),
    "before the end": (EACH_BATCH, OnFeatures, "training_ended", 1),
    "before the test": (EACH_EPOCH, TrainerX, "after_train", 1),
}
CLASSES = {"TaskRes": TaskRes, "CLIPAdapter": CLIPAdapter, "TipAdapterF": TipAdapterF}


# One in the ordinary run, all in the long one.
STOPPED = [pytest.param(m, marks=[pytest.mark.long] if m != "TipAdapterF" else []) for m in RUNS]


@pytest.mark.parametrize("method", STOPPED)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_stopped_and_started_again_ends_as_if_it_never_was(
    run, tmp_path, method, moment
):
    saves, owner, name, call = MOMENTS[moment]
    owner = CLASSES[method] if owner is OnFeatures else owner
    given = (*SHORT, *RUNS[method], *saves)
    run(method, *given, folder="whole")
    with stopping(owner, name, call), pytest.raises(KeyboardInterrupt):
        run(method, *given)
    assert not (tmp_path / "run/results.json").exists()
    assert "will resume training" in run(method, *given)
    assert_ended_alike(tmp_path / "whole", tmp_path / "run", EPOCHS)
    one, other = (results(tmp_path / folder) for folder in ("whole", "run"))
    assert one.get("chosen") == other.get("chosen")


@pytest.mark.parametrize(
    "where", [(TipAdapter, "fit"), (engine, "keep_state"), (TrainerX, "after_train")]
)
def test_so_does_a_method_that_takes_no_steps(run, tmp_path, where):
    given = (*BASE, "TRAINER.TIPADAPTER.TUNE", "val", "TRAINER.TIPADAPTER.SEARCH_STEP", "(5, 5)")
    run("TipAdapter", *given, folder="whole")
    with stopping(*where, 1), pytest.raises(KeyboardInterrupt):
        run("TipAdapter", *given)
    run("TipAdapter", *given)
    assert_ended_alike(tmp_path / "whole", tmp_path / "run", 1)
    one, other = (results(tmp_path / folder) for folder in ("whole", "run"))
    assert one["chosen"] == other["chosen"]


def test_its_checkpoint_has_no_optimiser_and_loads_like_any_other(run, tmp_path):
    run("TipAdapter", *BASE)
    whole = last_checkpoint(tmp_path / "run", 1)
    assert whole["optimizer"] is None and whole["scheduler"]["made_of"]["method"] == "TipAdapter"
    assert set(whole["state_dict"]) == {"cache_keys", "labels", "alpha", "beta", "class_names"}
    assert "This run is complete" in run("TipAdapter", *BASE)
    assert_same(whole, last_checkpoint(tmp_path / "run", 1))
    load = ("--eval-only", "--model-dir", tmp_path / "run", "--load-epoch", 1)
    run("TipAdapter", *load, *BASE, folder="again")
    one, other = ((tmp_path / f / "predictions.csv").read_text() for f in ("run", "again"))
    assert one == other
    assert results(tmp_path / "run")["trained_parameters"] == 0


def test_encoding_a_split_draws_no_random_number(run, tmp_path, monkeypatch):
    """So that a resumed run may do it at another moment than the whole one."""
    states = []

    def ended(model, epoch, epochs):
        before = torch.get_rng_state()
        for split in ("val", "test"):
            features, labels = model.encoded(split)
            assert model.encoded(split)[0] is features and len(features) == len(labels) > 0
        states.append(torch.equal(before, torch.get_rng_state()))

    monkeypatch.setattr(TaskRes, "epoch_ended", ended)
    run("TaskRes", *SHORT, *views("TaskRes", 1))
    assert states == [True] * EPOCHS


# Refused


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("TipAdapter", ("OPTIM.MAX_EPOCH", 2), "OPTIM.MAX_EPOCH is 2, but must be 1"),
        ("TipAdapter", views("TipAdapter", 3), "VIEWS 3: must be 0"),
        (
            "TipAdapter",
            ("TRAINER.TIPADAPTER.REGULARISERS", "('weight_average',)"),
            "must be (), since TipAdapter takes no steps",
        ),
        ("TipAdapterF", ("OPTIM.WARMUP_EPOCH", 1), "OPTIM.WARMUP_EPOCH 1: TipAdapterF has"),
        (
            "TipAdapterF",
            ("OPTIM.LR_SCHEDULER", "single_step", "OPTIM.STEPSIZE", "(1,)"),
            "OPTIM.LR_SCHEDULER 'single_step': TipAdapterF has a cosine",
        ),
        (
            "TipAdapterF",
            ("TEST.FINAL_MODEL", "best_val", "TRAINER.TIPADAPTERF.TUNE", "val"),
            "the search is made with the last epoch's weights",
        ),
        ("TipAdapter", ("TRAINER.TIPADAPTER.SEARCH_SCALE", "(7.0,)"), "must be two numbers above"),
        ("TipAdapter", ("TRAINER.TIPADAPTER.SEARCH_SCALE", "(7.0, 0.1)"), "two numbers above 0.1"),
        ("TipAdapter", ("TRAINER.TIPADAPTER.SEARCH_STEP", "(0, 2)"), "two whole numbers"),
        ("CLIPAdapter", ("TRAINER.CLIPADAPTER.RATIO", 1.5), "RATIO 1.5: must be at most 1"),
        ("CLIPAdapter", ("TRAINER.CLIPADAPTER.REDUCTION", 500), "REDUCTION 500: must be at most"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_data_are_read(
    run, refused, tmp_path, method, options, words
):
    assert words in refused(run, method, *BASE, *options, root=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_initial_weights_that_would_be_replaced_or_lack_classes_are_refused(run, refused, tmp_path):
    run("TipAdapterF", *SHORT)
    run("TaskRes", *SHORT, folder="residuals")
    for method, folder, words in [
        ("TipAdapterF", "run", "made of its training images anew"),
        ("TaskRes", "residuals", "has no rows for some of the classes"),
    ]:
        path = tmp_path / folder / f"prompt_learner/model.pth.tar-{EPOCHS}"
        given = (*SHORT, "DATASET.SUBSAMPLE_CLASSES", "new", "MODEL.INIT_WEIGHTS", path)
        assert words in refused(run, method, *given, folder="next")
