"""Products with frozen weights are the same, whichever library computes them."""

import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model
from multimode_ot.backbone import linear
from random_clip import random_clip


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch"])
def onednn(request, monkeypatch):
    """Either library, whatever the processor."""
    monkeypatch.setattr(linear, "_mkl_is_slow", lambda: request.param)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield request.param
    torch.set_num_threads(threads)


def operands(*shape, inputs=128, outputs=160):
    generator = torch.Generator().manual_seed(0)
    sizes = (*shape, inputs), (outputs, inputs), (outputs,)
    return [torch.randn(size, generator=generator) for size in sizes]


def assert_near(got, wanted, atol=1e-4):
    """To rounding of sums of a hundred products (or of more, with a larger `atol`)."""
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("shape", [(1,), (161,), (1, 400), (9, 31), (2, 3, 71)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_frozen_linear_layer_is_a_linear_layer(onednn, shape, biased):
    x, weight, bias = operands(*shape)
    bias = bias if biased else None
    x.requires_grad_()
    assert linear.onednn_is_faster(x) == (onednn and x.numel() > linear.SMALLEST)
    wanted, got = F.linear(x, weight, bias), linear.linear(x, weight, bias)
    assert_near(got, wanted)
    pull = torch.linspace(-1, 1, got.numel()).view_as(got)
    gradients = [torch.autograd.grad((out * pull).sum(), x)[0] for out in (wanted, got)]
    assert_near(*gradients)


@pytest.mark.parametrize("beta, alpha", [(1, 1), (1.7, 1.7), (1, 0.5), (2, 1)])
def test_an_affine_map_is_addmm(onednn, beta, alpha):
    x, weight, bias = operands(200)
    wanted = torch.addmm(bias, x, weight.T, beta=beta, alpha=alpha)
    got = linear.affine(x, weight, bias, beta, alpha)
    assert_near(got, wanted)
    assert got.is_contiguous()


def test_strided_rows_are_taken_as_they_are(onednn):
    x, weight, bias = operands(6, 200)
    view = x.transpose(0, 1)[:, 1:4]  # (200, 3, 128)
    assert linear.onednn_is_faster(view) == onednn
    assert_near(linear.linear(view, weight, bias), F.linear(view, weight, bias))


def test_autocast_and_other_types_are_left_to_torch(onednn):
    x, weight, bias = operands(200)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear.linear(x, weight, bias).dtype == torch.bfloat16
    for dtype in (torch.float64, torch.bfloat16):
        assert not linear.onednn_is_faster(x.to(dtype))


def test_what_is_trained_is_left_to_torch(onednn):
    x, weight, bias = operands(400)
    linear.linear(x, weight.requires_grad_(), bias).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand_as(weight), rtol=1e-4, atol=1e-4)


def test_a_vector_is_left_to_torch(onednn):
    x, weight, bias = operands(inputs=30_000, outputs=2)
    assert_near(linear.linear(x, weight, bias), F.linear(x, weight, bias), atol=1e-3)


def test_one_thread_is_left_to_torch(onednn):
    torch.set_num_threads(1)  # the fixture sets it back
    assert not linear.onednn_is_faster(operands(400)[0])


@pytest.mark.parametrize("rows", [170, 400])
def test_oneDNN_computes_both_directions_of_many_rows(onednn, rows):
    x, weight, bias = operands(rows)
    x.requires_grad_()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        linear.linear(x, weight, bias).sum().backward()
    calls = sum(e.count for e in profiler.key_averages() if e.key == "aten::mkldnn_convolution")
    assert calls == (0 if not onednn else 2 if rows >= linear.FEWEST_ROWS else 1)


def test_the_library_changes_logits_and_gradients_by_rounding_alone(monkeypatch):
    monkeypatch.setattr(linear, "SMALLEST", 0)  # tiny towers are below it
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    results = []
    for slow in (True, False):
        monkeypatch.setattr(linear, "_mkl_is_slow", lambda slow=slow: slow)
        torch.manual_seed(0)
        model = build_model("MultiModeOT", random_clip("tiny-vit"), ["cat", "a green bird"])
        logits = model(images)
        loss = F.cross_entropy(logits, torch.tensor([0, 1]))
        results.append([logits, *torch.autograd.grad(loss, [*model.prompt_learner.parameters()])])
    for one, other in zip(*results, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * max(scale, 1e-3))
