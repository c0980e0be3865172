"""Pictures through a model: the labels are those of the evaluation, for every method."""

import csv
import threading
from pathlib import Path

import pytest
import torch
from any_method import Case, backbone
from multimode_ot.methods import BUILT_IN, find_method
from multimode_ot.training.finished import FinishedRun
from multimode_ot.training.labelling import Labeller, labeller_of_run, read_ahead
from PIL import Image
from yacs.config import CfgNode

SHORT = ("DATASET.NUM_SHOTS", 1, "DATASET.SUBSAMPLE_CLASSES", "base")
EPOCH = ("OPTIM.MAX_EPOCH", 1)


def finish(run, method: str, folder: Path) -> Path:
    """A quick run of all of a method's stages; the folder of the last one."""
    epoch = EPOCH if find_method(method).trains and method != "LPPP" else ()
    before = ()
    for i, stage in enumerate(find_method(method).stages[:-1]):
        own = [w for k, v in stage.settings.items() for w in (f"TRAINER.{method.upper()}.{k}", v)]
        run(method, *SHORT, *EPOCH, *own, folder=f"stage{i}")
        (weights,) = (folder / f"stage{i}").glob("*/model.pth.tar-1")
        before = ("MODEL.INIT_WEIGHTS", weights)
    run(method, *SHORT, *epoch, *before)
    return folder / "run"


# One of each kind in the ordinary run, all in the long one.
KINDS = ("ZeroshotCLIP", "CoOp", "CoCoOp", "PLOT", "ALIGN", "TaskRes", "LPPP")
METHODS = [pytest.param(m, marks=[] if m in KINDS else [pytest.mark.long]) for m in BUILT_IN]


@pytest.mark.parametrize("method", METHODS)
def test_a_runs_test_pictures_get_the_labels_of_its_predictions(run, method, tmp_path):
    found = FinishedRun(finish(run, method, tmp_path))
    with found.predictions_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    labeller, labels = labeller_of_run(found), []
    for batch in labeller.label([found.image_path(row["path"]) for row in rows]):
        assert not batch.unreadable
        confidences, order = batch.best(1)
        labels += [(own[0], k[0]) for own, k in zip(confidences, order, strict=True)]
    assert [k for _, k in labels] == [int(row["prediction"]) for row in rows]
    # Not to the bit: predictions.csv has six digits, and a product of matrices may be summed in
    # another order where a batch has other neighbours in memory.
    expected = [float(row["confidence"]) for row in rows]
    assert [p for p, _ in labels] == pytest.approx(expected, abs=1e-4)


# Without a run.


def labeller_of(*names: str) -> Labeller:
    case = Case("CoOp")
    inp = CfgNode(
        {
            "SIZE": (backbone(case.shape).resolution,) * 2,
            "INTERPOLATION": "bicubic",
            "PIXEL_MEAN": [0.5] * 3,
            "PIXEL_STD": [0.25] * 3,
            "TRANSFORMS": ["normalize"],
        }
    )
    return Labeller(case.build(names), inp, as_seen=True, batch_size=4)


@pytest.fixture
def labeller():
    return labeller_of("cat", "dog", "x")


@pytest.fixture
def grey(tmp_path):
    """Paths of ten pictures, of which the third and the last cannot be read."""
    paths = [tmp_path / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        Image.new("L", (40 + i, 33), 25 * i).save(path)
    paths[2].write_bytes(b"no picture")
    paths[9].write_bytes(paths[8].read_bytes()[:60])
    return paths


def test_what_cannot_be_read_stops_nothing_and_leaves_no_hole_in_a_batch(labeller, grey):
    batches = list(labeller.label(grey))
    assert [len(batch.sources) for batch in batches] == [4, 4, 0]
    assert [source for batch in batches for source in batch.sources] == [*grey[:2], *grey[3:9]]


def test_each_unreadable_picture_is_named_once_with_its_error(labeller, grey):
    unreadable = [pair for batch in labeller.label(grey) for pair in batch.unreadable]
    assert [source for source, _ in unreadable] == [grey[2], grey[9]]
    assert all(str(source) in str(error) for source, error in unreadable)
    (only,) = labeller.label([grey[2]])
    assert only.sources == [] and only.best(1) == ([], [])


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_neither_threads_nor_batches_change_order_or_logits(labeller, grey, workers, batch_size):
    expected = list(labeller.label(grey))
    batches = list(labeller.label(grey, batch_size, workers))
    assert [s for batch in batches for s in batch.sources] == [*grey[:2], *grey[3:9]]
    logits, others = (
        torch.cat([batch.logits for batch in found if batch.sources])
        for found in (batches, expected)
    )
    assert logits.std(0).min() > 1e-3  # pictures that are told apart
    torch.testing.assert_close(logits, others, atol=1e-5, rtol=0)


def test_only_so_many_pictures_are_read_ahead():
    asked, held = [], 0

    def sources():
        for i in range(100):
            asked.append(i)
            yield i

    for done, (source, reading) in enumerate(read_ahead(sources(), float, workers=2, ahead=5)):
        assert reading.result() == source == done
        held = max(held, len(asked) - done)
    assert held == 5


def test_who_stops_asking_leaves_no_thread_behind(labeller, grey):
    before = threading.active_count()
    batches = labeller.label(grey * 20, batch_size=2)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_equal_confidences_are_in_the_order_of_the_classes(labeller, grey):
    batch = next(labeller.label(grey[:1]))
    batch.logits = torch.tensor([[1.0, 2.0, 2.0, 1.0, 2.0]])
    assert batch.best(9)[1] == [[1, 2, 4, 0, 3]]


def test_other_classes_are_labelled_with_unless_they_are_one(labeller, grey):
    labeller.set_classes(["a giant panda", "cat"])
    (batch,) = labeller.label(grey[:2])
    assert batch.logits.shape == (2, 2)
    (own,) = labeller_of("a giant panda", "cat").label(grey[:2])
    torch.testing.assert_close(batch.logits, own.logits, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"'a cat', 'A_cat' become one prompt"):
        labeller.set_classes(["a cat", "A_cat"])
