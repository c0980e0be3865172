"""Products with frozen weights are the same, whichever library computes them."""

import pytest
import torch
import torch.nn.functional as F
from multimode_ot import build_model, linear
from random_clip import random_state


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch"])
def onednn(request, monkeypatch):
    """Either library, whatever the processor."""
    monkeypatch.setattr(linear, "_mkl_is_slow", lambda: request.param)
    return request.param


def operands(*shape, inputs=128, outputs=20):
    generator = torch.Generator().manual_seed(0)
    sizes = (*shape, inputs), (outputs, inputs), (outputs,)
    return [torch.randn(size, generator=generator) for size in sizes]


@pytest.mark.parametrize("shape", [(1,), (161,), (1, 200), (9, 31), (2, 3, 41)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_frozen_linear_layer_is_a_linear_layer(onednn, shape, biased):
    x, weight, bias = operands(*shape)
    bias = bias if biased else None
    x.requires_grad_()
    assert linear.onednn_is_faster(x) == (onednn and x.numel() > linear.SMALLEST)
    wanted, got = F.linear(x, weight, bias), linear.linear(x, weight, bias)
    torch.testing.assert_close(got, wanted)
    pull = torch.linspace(-1, 1, got.numel()).view_as(got)
    gradients = [torch.autograd.grad((out * pull).sum(), x)[0] for out in (wanted, got)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("beta, alpha", [(1, 1), (1.7, 1.7), (1, 0.5), (2, 1)])
def test_an_affine_map_is_addmm(onednn, beta, alpha):
    x, weight, bias = operands(200)
    wanted = torch.addmm(bias, x, weight.T, beta=beta, alpha=alpha)
    got = linear.affine(x, weight, bias, beta, alpha)
    torch.testing.assert_close(got, wanted)
    assert got.is_contiguous()


def test_strided_rows_are_taken_as_they_are(onednn):
    x, weight, bias = operands(6, 200)
    view = x.transpose(0, 1)[:, 1:4]  # (200, 3, 128)
    assert linear.onednn_is_faster(view) == onednn
    torch.testing.assert_close(linear.linear(view, weight, bias), F.linear(view, weight, bias))


def test_autocast_and_other_types_are_left_to_torch(onednn):
    x, weight, bias = operands(200)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear.linear(x, weight, bias).dtype == torch.bfloat16
    for dtype in (torch.float64, torch.bfloat16):
        assert not linear.onednn_is_faster(x.to(dtype))


def test_a_frozen_layer_refuses_to_be_trained(monkeypatch):
    monkeypatch.setattr(linear, "_mkl_is_slow", lambda: True)
    x, weight, bias = operands(200)
    with pytest.raises(RuntimeError, match="frozen"):
        linear.linear(x, weight.requires_grad_(), bias)


def test_the_library_changes_logits_and_gradients_by_rounding_alone(monkeypatch):
    monkeypatch.setattr(linear, "SMALLEST", 0)  # tiny towers are below it
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    results = []
    for slow in (True, False):
        monkeypatch.setattr(linear, "_mkl_is_slow", lambda slow=slow: slow)
        torch.manual_seed(0)
        model = build_model("MultiModeOT", random_state("tiny-vit"), ["cat", "a green bird"])
        logits = model(images)
        loss = F.cross_entropy(logits, torch.tensor([0, 1]))
        results.append([logits, *torch.autograd.grad(loss, [*model.prompt_learner.parameters()])])
    for one, other in zip(*results, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * max(scale, 1e-3))
