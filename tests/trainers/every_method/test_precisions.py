"""Every method in every precision on the CPU: finite, and near float32."""

import warnings

import pytest
import torch
from any_method import Training, logits
from multimode_ot.backbone import precision
from multimode_ot.config import PRECISIONS

NEAR = 0.5  # of logits up to 14


def built(case, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fp16 needs CUDA
        return case.build(PREC=name)


def test_logits_are_float32_and_near_those_of_float32(case):
    images = case.images()
    for training in (False, True):  # amp differs
        expected = built(case, "fp32").train(training)(images)
        for name in PRECISIONS:
            found = built(case, name).train(training)(images)
            assert found.dtype == torch.float32
            assert (found - expected).abs().max() < NEAR, name


def test_half_precision_on_the_cpu_is_float32_and_is_said_once(case):
    said = set(precision._warned)
    precision._warned.clear()
    try:
        with pytest.warns(UserWarning, match="PREC fp16 needs CUDA"):
            model = case.build(PREC="fp16")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            case.build(PREC="fp16")
    finally:
        precision._warned.update(said)
    assert torch.equal(
        logits(model.eval(), case.images()), logits(built(case, "fp32").eval(), case.images())
    )


def test_amp_is_for_training_alone(case):
    found, expected = (logits(built(case, name).eval(), case.images()) for name in ("amp", "fp32"))
    assert torch.equal(found, expected)


def test_what_is_trained_is_float32_and_takes_finite_steps(learner):
    for name in PRECISIONS:
        model = built(learner, name)
        (summary,) = Training(learner, model).run(1)
        assert all(torch.tensor(value).isfinite() for value in summary.values()), name
        for tensor in model.prompt_learner.parameters():
            assert tensor.dtype == torch.float32 and tensor.grad.isfinite().all(), name


def test_bfloat16_is_that_of_the_towers(case):
    assert built(case, "bf16").clip.dtype == torch.bfloat16
