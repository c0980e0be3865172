"""KgCoOp and PromptSRC as settings of CoOp and IVLP, beside plain loops of the whole methods."""

import pytest
import torch
from multimode_ot.backbone.templates import ENSEMBLE_TEMPLATES
from regularised import DTYPES, assert_equal, both, changes, train
from slow_methods import NAMES
from slow_regularisers import kgcoop, promptsrc

RATE = 0.01
LOSSES = {torch.float32: 1e-5, torch.float64: 1e-7}  # relative
# Relative; in float32 a change is small beside the weight that it is added to.
CHANGES = {torch.float32: 3e-4, torch.float64: 1e-7}
in_both_types = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def epochs(pair, number=3, batches=2):
    """Other images in each batch."""
    draw = torch.Generator().manual_seed(5)
    shape, labels = pair.images.shape, torch.arange(len(pair.images))
    return [
        [
            (torch.randn(shape, generator=draw, dtype=torch.double), (labels + b) % len(NAMES))
            for b in range(batches)
        ]
        for _ in range(number)
    ]


def snapshot(state):
    return {k: v.detach().clone() for k, v in state.items()}


@in_both_types
@pytest.mark.parametrize("case", ["CoOp", "CoOp, CSC"])
def test_kgcoop_is_coop_with_template_consistency(case, dtype):
    pair = both(case, dtype, ["template_consistency"])
    pair.model.dataset = "DescribableTextures"
    before, batches = snapshot(pair.leaves), epochs(pair)
    summaries = train(pair, batches, RATE)
    forward = getattr(pair.slow, pair.case.slow)
    template = "a photo of a {}, a type of texture."
    losses = kgcoop(pair.slow, forward, pair.leaves, batches, NAMES, RATE, template=template)
    assert [s["loss"] for s in summaries] == pytest.approx(losses, rel=LOSSES[dtype])
    assert list(summaries[0]) == ["loss", "cross_entropy", "template_consistency", "acc"]
    gaps = changes(pair.parameters, before), changes(pair.leaves, before)
    assert_equal(*gaps, CHANGES[dtype])


@in_both_types
@pytest.mark.parametrize("case", ["IVLP", "IVLP, text alone", "MaPLe", "MultiModeOT"])
def test_promptsrc_is_ivlp_with_frozen_consistency_and_the_average(case, dtype):
    """So are its losses on other methods."""
    parts = ["frozen_consistency", "weight_average"]
    pair = both(case, dtype, parts, {"weight_average": {"MEAN": 2.0, "STD": 1.0}})
    before, batches = snapshot(pair.leaves), epochs(pair)
    summaries = train(pair, batches, RATE)
    forward = getattr(pair.slow, pair.case.slow)
    losses, last = promptsrc(
        pair.slow, forward, pair.leaves, batches, NAMES, RATE, ENSEMBLE_TEMPLATES, 2, 1,
        image="alone" not in case,
    )  # fmt: skip
    assert [s["loss"] for s in summaries] == pytest.approx(losses, rel=LOSSES[dtype])
    for summary in summaries:
        terms = sum(v for k, v in summary.items() if k not in ("loss", "acc"))
        assert summary["loss"] == pytest.approx(terms, rel=1e-6)
    average = changes(pair.leaves, before)
    assert_equal(changes(pair.parameters, before), average, CHANGES[dtype])
    assert all((average[k] - (last[k] - before[k])).any() for k in last if average[k].any())
