"""From times of single steps to times of runs: plain arithmetic, held against sums by hand."""

import sys

import pytest
from fewshot_datasets.findings import Finding
from imported import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "scripts"))

from estimate import Curve, Size, Times, duration, size_of, sizes, words
from jobs import Job
from protocol_runs import base2new_runs, fewshot_run, transfer_run
from published_plan import make_plan


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("CONFIG", "DATA", "OUTPUT", "SOURCE"):
        monkeypatch.delenv(name, raising=False)


class TestCurve:
    CURVE = Curve({10: Times(1.0, 2.0, 0.1), 50: Times(3.0, 6.0, 0.1), 100: Times(4.0, 11.0, 0.2)})

    def test_what_was_measured_stands(self):
        for classes, times in self.CURVE.points.items():
            assert self.CURVE.at(classes) == times

    def test_between_two_points_it_is_a_straight_line(self):
        assert self.CURVE.at(30) == pytest.approx((2.0, 4.0, 0.1, 0.0))
        assert self.CURVE.at(75) == pytest.approx((3.5, 8.5, 0.15, 0.0))

    def test_beyond_the_last_it_goes_on_as_between_the_last_two(self):
        assert self.CURVE.at(1000) == pytest.approx((22.0, 101.0, 2.0, 0.0))

    def test_it_never_falls_below_what_was_measured(self):
        falling = Curve({10: Times(1.0, 1.0, 0.2), 50: Times(0.9, 2.0, 0.1)})
        assert falling.at(1000) == pytest.approx((0.9, 25.75, 0.1, 0.0))
        assert falling.at(5)[1] == 1.0

    def test_one_point_holds_everywhere(self):
        assert Curve({10: Times(1.0, 2.0, 3.0)}).at(500) == (1.0, 2.0, 3.0, 0.0)


class TestSizes:
    def test_they_are_the_published_ones_where_nothing_is_found(self):
        known = sizes([])
        assert known["oxford_pets"] == Size(37, 2944, 3669)
        assert known["imagenet_a"] == Size(200, 0, 7500)
        assert "digits" not in known

    def test_what_is_found_counts(self):
        found = Finding("digits", "", True, (80, 10, 30), 10)
        assert sizes([found])["digits"] == Size(10, 80, 30)

    def test_a_half_has_its_share_of_the_images(self):
        base, new = base2new_runs(Job("base2new", "CoOp", 1, "oxford_pets", 16))
        assert size_of(base, sizes([])) == Size(19, 19 * 16, round(3669 * 19 / 37))
        assert size_of(new, sizes([])) == Size(18, 18 * 16, round(3669 * 18 / 37))

    def test_no_more_images_are_trained_on_than_there_are(self):
        run = fewshot_run(Job("fewshot", "CoOp", 1, "digits", 16))
        assert size_of(run, {"digits": Size(10, 80, 30)}) == Size(10, 80, 30)
        assert size_of(run, {}) is None

    def test_a_transfer_is_of_the_size_of_its_target(self):
        run = transfer_run(Job("cross_dataset", "CoOp", 1, "imagenet", 16), "eurosat")
        assert size_of(run, sizes([])) == Size(10, 160, 8100)


class TestDuration:
    TIMES = Times(2.0, 5.0, 0.01)

    def of(self, run, size):
        plan = make_plan("base2new", ["CoOp"], ["oxford_pets"])
        (cfg,) = plan.settings.values()
        assert cfg.OPTIM.MAX_EPOCH == 200 and cfg.DATALOADER.TRAIN_X.BATCH_SIZE == 32
        return duration(run, cfg, size, self.TIMES)

    def test_of_a_training_it_is_epochs_times_whole_batches_and_a_test(self):
        base, new = base2new_runs(Job("base2new", "CoOp", 1, "oxford_pets", 16))
        assert self.of(base, Size(19, 304, 1884)) == (200 * 9 * 2.0, 5.0 + 18.84)
        assert self.of(base, Size(2, 20, 100)) == (200 * 2.0, 6.0)
        assert self.of(new, Size(18, 288, 1785)) == (0.0, 5.0 + 17.85)

    def test_what_trains_nothing_is_tested_alone(self):
        base, _ = base2new_runs(Job("base2new", "ZeroshotCLIP", 1, "oxford_pets", 16))
        assert self.of(base, Size(19, 304, 1884)).training == 0.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.4, "3 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
    + [(86400 * 1.9, "45.6 h"), (86400 * 2.5, "2.5 days")],
)
def test_a_duration_is_said_in_the_unit_that_fits(seconds, said):
    assert words(seconds) == said
