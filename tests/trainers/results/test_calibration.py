"""Bins of confidence, held against the measure that an evaluation writes."""

import random

import pytest
import torch
from multimode_ot.results.calibration import BINS, bins_of, calibration_error
from multimode_ot.results.predictions import Prediction
from multimode_ot.training import evaluation


def test_the_error_of_the_bins_is_that_of_the_evaluation():
    draw = random.Random(0)
    confidences = [draw.random() for _ in range(500)] + [0.0, 1.0, 1 / 15, 2 / 15, 0.2]
    found = [Prediction(str(i), 0, draw.randrange(2), c) for i, c in enumerate(confidences)]
    hits = torch.tensor([p.right for p in found])
    wanted = evaluation.calibration_error(torch.tensor(confidences, dtype=torch.double), hits)
    assert calibration_error(bins_of(found)) == pytest.approx(100 * wanted, abs=1e-9)
    assert BINS == evaluation.CALIBRATION_BINS


def test_every_image_is_in_one_bin():
    found = [Prediction("a", 0, 0, 0.999), Prediction("b", 0, 1, 0.95), Prediction("c", 0, 0, 0.0)]
    bins = bins_of(found)
    assert sum(b.images for b in bins) == 3
    assert bins[-1].images == 2 and bins[-1].accuracy == 50
    assert bins[-1].confidence == pytest.approx(97.45)


def test_a_confidence_on_an_edge_is_in_the_lower_bin():
    (at_a_fifth,) = (b for b in bins_of([Prediction("a", 0, 0, 0.2)]) if b.images)
    assert (at_a_fifth.low, at_a_fifth.high) == (pytest.approx(100 * 2 / 15), 20)
