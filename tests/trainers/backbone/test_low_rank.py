"""Low-rank updates of frozen products: values and gradients, what dropout draws, dtypes."""

import pytest
import torch
from multimode_ot.backbone.low_rank import LowRank, draw_kept, updated_linear

CPU = torch.device("cpu")


def problem(dtype=torch.float64, parts=(0, 2), rows=(2, 5), width=12, rank=3):
    torch.manual_seed(0)
    x = torch.randn(*rows, width, dtype=dtype, requires_grad=True)
    weight, bias = torch.randn(3 * width, width, dtype=dtype), torch.randn(3 * width, dtype=dtype)
    down = torch.randn(len(parts), rank, width, dtype=dtype, requires_grad=True)
    up = torch.randn(len(parts), width, rank, dtype=dtype, requires_grad=True)
    return x, weight, bias, LowRank(parts, down, up, 0.7)


def plainly(x, weight, bias, update, kept=None, share=1.0):
    """With a weight of full rank, where nothing is dropped."""
    outputs = list((x @ weight.T + bias).chunk(3, -1))
    for p, part in enumerate(update.parts):
        seen = x if kept is None else x * kept[p].view_as(x) / share
        outputs[part] = outputs[part] + seen @ (update.scale * update.up[p] @ update.down[p]).T
    return torch.cat(outputs, -1)


@pytest.mark.parametrize("parts", [(0,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_values_and_gradients_are_those_of_the_formula(parts, dropout):
    x, weight, bias, update = problem(parts=parts)
    update = update._replace(dropout=dropout)
    kept, share = None, 1.0
    if dropout:
        torch.manual_seed(7)
        kept, share = draw_kept((len(parts), 10, 12), dropout, CPU)
        torch.manual_seed(7)
    found = updated_linear(x, weight, bias, update)
    wanted = plainly(x, weight, bias, update, kept, share)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    leaves = [x, update.down, update.up]
    factor = torch.randn_like(found)
    pairs = zip(
        torch.autograd.grad((found * factor).sum(), leaves),
        torch.autograd.grad((wanted * factor).sum(), leaves),
        strict=True,
    )
    for got, expected in pairs:
        torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


def test_constant_inputs_get_no_gradient_and_the_update_does():
    x, weight, bias, update = problem()
    updated_linear(x.detach(), weight, bias, update).sum().backward()
    assert x.grad is None and update.down.grad.any() and update.up.grad.any()


def test_frozen_weights_stay_what_they_are():
    x, weight, bias, update = problem()
    before = weight.clone()
    updated_linear(x, weight, bias, update).sum().backward()
    assert torch.equal(weight, before) and weight.grad is None


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision_is_near_and_the_parameters_gradients_are_float32(autocast, dropout):
    x, weight, bias, update = problem(torch.float32, (0, 1, 2), (4, 50), 64)
    update = update._replace(dropout=dropout)

    def run(low):
        torch.manual_seed(1)
        cast = (lambda t: t.bfloat16()) if low and not autocast else (lambda t: t)
        with torch.autocast("cpu", torch.bfloat16, enabled=low and autocast):
            out = updated_linear(cast(x), cast(weight), cast(bias), update)
        leaves = [x, update.down, update.up]
        return out, torch.autograd.grad(out.float().square().sum(), leaves)

    (exact, wanted), (out, found) = run(False), run(True)
    assert out.dtype == torch.bfloat16
    assert (out - exact).norm() < 0.02 * exact.norm()
    for got, expected in zip(found, wanted, strict=True):
        assert got.dtype == torch.float32
        assert torch.cosine_similarity(got.flatten(), expected.flatten(), 0) > 0.999


@pytest.mark.parametrize("dropout", [0.25, 0.1, 0.999999])
def test_as_much_is_dropped_as_is_asked_for_and_what_is_kept_makes_up_for_it(dropout):
    torch.manual_seed(0)
    kept, share = draw_kept((3, 501, 203), dropout, CPU)
    assert kept.dtype == torch.bool and kept.shape == (3, 501, 203)
    assert share > 0 and share == pytest.approx(1 - dropout, abs=2e-5)
    assert kept.double().mean().item() == pytest.approx(share, abs=4e-3)


def test_entries_are_dropped_independently():
    torch.manual_seed(0)
    kept, share = draw_kept((4, 200, 200), 0.25, CPU)
    spread = share * (1 - share)
    for along in (kept.flatten(), kept.transpose(0, 2).flatten()):
        a = along.double() - share
        for shift in (1, 2, 3, 4, 8):
            assert abs((a[shift:] * a[:-shift]).mean().item()) < 0.02 * spread
