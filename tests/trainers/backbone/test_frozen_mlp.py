"""The frozen MLP of each activation: values, gradients, what it keeps, the other precisions."""

import math

import pytest
import torch
from multimode_ot.backbone import linear
from multimode_ot.backbone.architecture import ACTIVATIONS
from multimode_ot.backbone.frozen_mlp import MLP

SIZES = [(6, 17), (20, 12)]  # width, and a hidden width that is no multiple of it
FUNCTIONS = {
    "quick_gelu": lambda h: h * torch.sigmoid(1.702 * h),
    "gelu": lambda h: h * (1 + torch.erf(h / 2**0.5)) / 2,
    "gelu_tanh": lambda h: h * (1 + torch.tanh((2 / math.pi) ** 0.5 * (h + 0.044715 * h**3))) / 2,
}
any_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def made(activation, width, hidden, rows=6, dtype=torch.float32):
    torch.manual_seed(0)
    mlp = MLP(width, hidden, activation).to(dtype).requires_grad_(False)
    return mlp, (2 * torch.randn(rows, width, dtype=dtype)).requires_grad_()


def plainly(mlp, x):
    return mlp.c_proj(FUNCTIONS[mlp.activation](mlp.c_fc(x)))


def value_and_gradient(run, x):
    out = run(x)
    pull = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return out.detach(), torch.autograd.grad((out * pull).sum(), x)[0]


@any_activation
@pytest.mark.parametrize("width, hidden", SIZES)
def test_it_is_two_layers_with_an_activation_between(activation, width, hidden):
    mlp, x = made(activation, width, hidden, dtype=torch.float64)
    x = x.detach().view(2, 3, width).requires_grad_()
    torch.testing.assert_close(mlp(x), plainly(mlp, x), rtol=0, atol=1e-12)
    with torch.no_grad():  # overwrites what it needs no more
        torch.testing.assert_close(mlp(x), plainly(mlp, x), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(mlp, x)


@any_activation
def test_it_keeps_one_hidden_layer_for_the_backward_pass(activation):
    mlp, x = made(activation, 20, 12)
    weights = {p.data_ptr() for p in mlp.parameters()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t), t)[1], lambda t: t):
        out = mlp(x)
    (hidden,) = (t for t in kept if t.data_ptr() not in weights)
    slope = 1.702 if activation == "quick_gelu" else 1.0
    torch.testing.assert_close(hidden, slope * mlp.c_fc(x), rtol=1e-5, atol=1e-6)
    assert out.requires_grad and out.shape == x.shape


@any_activation
def test_a_backward_pass_leaves_the_gradient_that_it_was_given(activation):
    mlp, x = made(activation, 20, 12)
    given = torch.randn(6, 20)
    before = given.clone()
    mlp(x).backward(given)
    assert torch.equal(given, before)


@any_activation
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_near_in_both_directions(activation, autocast):
    mlp, x = made(activation, 64, 152, rows=300)
    wanted, gradient = value_and_gradient(lambda x: plainly(mlp, x), x)
    low = x.detach() if autocast else x.detach().bfloat16()
    mlp = mlp if autocast else mlp.bfloat16()

    def run(x):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return mlp(x)

    value, found = value_and_gradient(run, low.requires_grad_())
    assert value.dtype == torch.bfloat16 and found.dtype == low.dtype
    for got, exact in ((value, wanted), (found, gradient)):
        assert (got.float() - exact).norm() < 0.02 * exact.norm()


@any_activation
@pytest.mark.parametrize("rows", [200, 400])
def test_onednn_changes_it_by_rounding_alone(activation, rows, monkeypatch):
    mlp, x = made(activation, 128, 336, rows)
    wanted, gradient = value_and_gradient(lambda x: plainly(mlp, x), x)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(linear, "_mkl_is_slow", lambda: True)
    try:
        assert linear.onednn_is_faster(x)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            value, found = value_and_gradient(mlp, x)
    finally:
        torch.set_num_threads(threads)
    calls = sum(e.count for e in profiler.key_averages() if e.key == "aten::mkldnn_convolution")
    assert calls == (4 if rows >= linear.FEWEST_ROWS else 2)
    torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-5)


def test_it_refuses_to_be_trained():
    with pytest.raises(RuntimeError, match="frozen"):
        MLP(6, 24, "gelu")(torch.randn(1, 6))
