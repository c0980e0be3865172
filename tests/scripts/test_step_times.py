"""Steps of every method, measured on a small model."""

import sys

import pytest
from imported import CHECKOUT
from multimode_ot.backbone.openai_shapes import OPENAI_SHAPES
from multimode_ot.methods import BUILT_IN, find_method

sys.path.insert(0, str(CHECKOUT / "scripts"))

import step_times
from jobs import Job, train
from step_times import class_names, measure


def settings(method, *options):
    job = Job("base2new", method, 1, "digits", 16, options)
    return train.setup_cfg(train.parse_arguments(job.words()))


@pytest.mark.parametrize("method", [name for name in BUILT_IN if name != "CoPrompt"])
def test_a_step_of_every_method_is_measured_at_few_and_at_many_classes(method):
    curve = measure(settings(method, "DATASET.NUM_SHOTS", "16"), [5, 12], 60.0)
    assert sorted(curve.points) == [5, 12]
    for times in curve.points.values():
        assert times.classes > 0 and times.image > 0
        assert (times.step + times.once > 0) == bool(find_method(method).trains)


def test_a_method_that_needs_words_of_the_classes_says_so():
    with pytest.raises(ValueError, match="describes 10 classes, but not 5 of these 5"):
        measure(settings("CoPrompt"), [5], 60.0)


def measured_steps(monkeypatch, seconds_of_a_step, seconds, counts):
    """The class counts and batches that are measured if steps take so long, and the curve."""
    now, taken = [0.0], []

    class Probe:
        images = 4

        def __init__(self, cfg, classes):
            self.classes = classes

        def step(self, batch):
            taken.append((self.classes, batch))
            spent = seconds_of_a_step(self.classes, batch)
            now[0] += spent
            return spent

        def test(self):
            return 0.0, 0.0, 0.0

    monkeypatch.setattr(step_times, "Probe", Probe)
    monkeypatch.setattr(step_times.time, "perf_counter", lambda: now[0])
    curve = measure(settings("CoOp", "DATALOADER.TRAIN_X.BATCH_SIZE", "32"), counts, seconds)
    return taken, curve, now[0]


def linear(classes, batch):
    return 0.1 * batch + 0.02 * classes


def test_with_time_enough_whole_batches_are_measured_up_to_the_most_classes(monkeypatch):
    taken, curve, _ = measured_steps(monkeypatch, linear, 200.0, [5, 37, 500])
    assert taken[2:] == [(5, 32), (50, 32), (500, 32)]
    for classes in (5, 20, 50, 199, 500, 1000):
        assert curve.at(classes).step == pytest.approx(linear(classes, 32))


def test_with_little_time_less_is_measured_and_the_rest_follows(monkeypatch):
    taken, curve, spent = measured_steps(monkeypatch, linear, 6.0, [5, 37, 500])
    assert spent < 12.0
    assert max(classes for classes, _ in taken) == 50
    assert max(batch for _, batch in taken) < 32
    assert curve.at(500).step == pytest.approx(linear(500, 32), rel=0.1)


def test_one_number_of_classes_is_one_point(monkeypatch):
    taken, curve, _ = measured_steps(monkeypatch, linear, 200.0, [7])
    assert list(curve.points) == [7] and {classes for classes, _ in taken} == {7}


def test_a_backbone_of_unknown_shape_that_is_not_here_is_refused():
    with pytest.raises(ValueError, match="the shape of ViT-Q/16 is not known"):
        step_times.backbone("ViT-Q/16")


@pytest.mark.parametrize("name", ["RN50", "ViT-B/32"])
def test_one_of_openais_that_is_not_here_is_random_in_its_shape(name, monkeypatch):
    monkeypatch.setattr(step_times, "is_local", lambda name: False)
    assert step_times.backbone.__wrapped__(name).shape == OPENAI_SHAPES[name]


def test_class_names_are_as_many_as_asked_and_all_different():
    for count in (1, 5, 1000, 1203):
        assert len(set(class_names(count))) == len(class_names(count)) == count
