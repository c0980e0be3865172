"""Problems of any size, costs, masses and epsilon: the plan is right, and what is told is true."""

from typing import NamedTuple

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot.transport import ConditionalTransport, ExactTransport, Sinkhorn
from torch import Tensor
from torch.nn.functional import pad

PRECISION = {torch.float32: 1e-5, torch.float64: 1e-9}
LARGEST_RATIO = {torch.float32: 1e5, torch.float64: 1e12}
ANY_SIZE = st.sampled_from([1, 2, 3, 5, 9, 17, 40, 130, 600])
any_problem = settings(max_examples=80, deadline=None, derandomize=True)


class Drawn(NamedTuple):
    cost: Tensor  # (J, L)
    a: Tensor
    b: Tensor
    epsilon: float

    @property
    def mass(self) -> Tensor:
        return self.b.sum(dtype=torch.float64)

    @property
    def ratio(self) -> float:
        cost = self.cost.double()
        return float(cost.max() - cost.min()) / self.epsilon


def masses(size: int, kind: str, total: float, generator) -> Tensor:
    values = torch.rand(size, generator=generator, dtype=torch.float64) + 1e-3
    values = {"uniform": torch.ones_like(values), "random": values, "uneven": values**6}[kind]
    return total * values / values.sum()


def costs(rows: int, columns: int, kind: str, generator) -> Tensor:
    """Between 0 and 1."""
    values = torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    if kind == "ties":
        return (3 * values).round() / 3
    if kind == "outlier":
        values = 1e-3 * values
        values[-1, 0] = 1
    if kind == "blocks":  # almost no mass may pass between the two
        near = (torch.arange(rows) % 2).unsqueeze(1) == torch.arange(columns) % 2
        return torch.where(near, 0.01 * values, 1.0)
    return values


@st.composite
def problems(draw, sizes=ANY_SIZE) -> Drawn:
    """Costs between -1e6 and 1e6, total masses 1e-6 to 1e6, epsilon 1e-6 to 1e3."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    rows, columns = draw(sizes), draw(sizes)
    kind = draw(st.sampled_from(["random", "ties", "outlier", "blocks"]))
    scale, total, epsilon = (10.0 ** draw(st.integers(*r)) for r in ((-3, 6), (-6, 6), (-6, 3)))
    offset = draw(st.sampled_from([0.0, -0.5, -1.0]))
    cost = scale * (costs(rows, columns, kind, generator) + offset)
    kinds = st.sampled_from(["uniform", "random", "uneven"])
    a, b = (masses(size, draw(kinds), total, generator) for size in (rows, columns))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return Drawn(cost.to(dtype), a.to(dtype), b.to(dtype), epsilon)


def pots(drawn: Drawn, iterations: int) -> Tensor:
    """POT's plan of unit mass after as many iterations; it ends with the rows, so transposed."""
    cost = drawn.cost.double()
    a, b = (m.double() / m.sum(dtype=torch.float64) for m in (drawn.a, drawn.b))
    return ot.sinkhorn(
        b,
        a,
        (cost - cost.min()).T,
        drawn.epsilon,
        "sinkhorn_log",
        numItermax=iterations,
        stopThr=0,
        warn=False,
    ).T


@any_problem
@given(problems(), st.sampled_from([1, 5, 20]))
def test_the_plan_is_pots_after_as_many_iterations(drawn, most):
    cost, a, b, epsilon = drawn
    result = Sinkhorn(epsilon, most, 1e-4)(cost, a, b)
    assert result.plan.dtype == cost.dtype and result.plan.isfinite().all()
    if drawn.ratio <= LARGEST_RATIO[torch.float64]:
        iterations = int(result.iterations)
        rounding = 1e-15 * (iterations + 1) * drawn.ratio
        torch.testing.assert_close(
            result.plan.double() / drawn.mass,
            pots(drawn, iterations),
            atol=PRECISION[cost.dtype] + rounding,
            rtol=0,
        )


@any_problem
@given(problems(), st.sampled_from([1, 20]))
def test_what_is_told_of_a_plan_is_true(drawn, most):
    cost, a, b, epsilon = drawn
    result = Sinkhorn(epsilon, most, 1e-4)(cost, a, b)
    plan = result.plan.double() / drawn.mass
    digits = PRECISION[cost.dtype]
    violation = (plan.sum(-1) - a.double() / drawn.mass).abs().sum()
    torch.testing.assert_close(result.error.double(), violation, atol=digits, rtol=1e-3)
    torch.testing.assert_close(plan.sum(-2), b.double() / drawn.mass, atol=digits, rtol=0)
    assert (plan >= 0).all()
    if result.converged:
        assert result.error <= 1e-4 and drawn.ratio <= LARGEST_RATIO[cost.dtype] * (1 + 1e-6)
    else:
        assert result.iterations == most or drawn.ratio > min(1e5, LARGEST_RATIO[cost.dtype])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(st.sampled_from([1, 2, 3, 5, 9, 17])))
def test_a_converged_cost_is_the_exact_one_but_for_the_entropy(drawn):
    cost, a, b, epsilon = drawn
    result = Sinkhorn(epsilon, 300, 1e-6)(cost, a, b)
    exact = ExactTransport()(cost.double(), a.double(), b.double()).transport_cost
    gap = float((result.plan.double() * cost.double()).sum() - exact) / float(drawn.mass)
    size = float(cost.abs().max())
    slack = (1e-6 if cost.dtype == torch.float64 else 1e-5) * size
    if result.converged:
        assert -slack <= gap <= epsilon * torch.log(torch.tensor(a.numel() * b.numel())) + slack


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(st.integers(1, 17)), st.sampled_from([-1e6, 0.0, 1e6, 1e30]))
def test_costs_of_padding_do_not_matter(drawn, padding_cost):
    cost, a, b, epsilon = drawn
    padded = pad(cost, (0, 3, 0, 2), value=padding_cost)
    wider = pad(a, (0, 2)), pad(b, (0, 3))
    phi = torch.tensor(epsilon)
    for transport in (Sinkhorn(epsilon, 20, 0.0), ConditionalTransport(phi)):
        if isinstance(transport, ConditionalTransport) and padding_cost / epsilon > 1e30:
            continue
        expected = transport(cost, a, b).plan.double() / drawn.mass
        plan = transport(padded, *wider).plan.double() / drawn.mass
        assert torch.count_nonzero(plan[len(a) :]) == torch.count_nonzero(plan[:, len(b) :]) == 0
        rounding = 1e-13 * drawn.ratio
        torch.testing.assert_close(
            plan[: len(a), : len(b)], expected, atol=PRECISION[cost.dtype] + rounding, rtol=0
        )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(st.integers(1, 40)))
def test_the_exact_plan_meets_both_marginals_at_pots_cost(drawn):
    cost, a, b = (values.double() for values in drawn[:3])
    low, span = cost.min(), (cost.max() - cost.min()).clamp(min=1e-300)
    best = ot.emd2(a / a.sum(), b / b.sum(), (cost - low) / span)
    padded, wider = pad(cost, (0, 3, 0, 2), value=-1e6), (pad(a, (0, 2)), pad(b, (0, 3)))
    for plan in (ExactTransport()(cost, a, b).plan, ExactTransport()(padded, *wider).plan):
        assert torch.count_nonzero(plan[len(a) :]) == torch.count_nonzero(plan[:, len(b) :]) == 0
        unit = plan[: len(a), : len(b)] / drawn.mass
        torch.testing.assert_close(unit.sum(-1), a / drawn.mass, atol=1e-6, rtol=0)
        torch.testing.assert_close(unit.sum(-2), b / drawn.mass, atol=1e-6, rtol=0)
        value = (unit * (cost - low) / span).sum() / unit.sum()
        torch.testing.assert_close(value, best, atol=1e-9, rtol=0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems(st.integers(1, 40)))
def test_conditional_transport_is_its_two_softmaxes_in_float64(drawn):
    cost, a, b, phi = drawn
    plan = ConditionalTransport(torch.tensor(phi, dtype=torch.float64))(cost, a, b).plan
    scores = -cost.double() / phi
    expected = a[:, None] * scores.softmax(-1) + b * scores.softmax(-2)
    torch.testing.assert_close(
        plan.double() / drawn.mass, expected / drawn.mass, atol=PRECISION[cost.dtype], rtol=0
    )


def test_large_costs_have_their_value():
    cost = 100 * torch.rand(5, 7, generator=torch.Generator().manual_seed(0))
    result = Sinkhorn(0.1, 1000)(cost)
    uniform = [torch.full((n,), 1 / n, dtype=torch.float64) for n in cost.shape]
    best = float(ot.emd2(*uniform, cost.double()))
    assert result.converged and result.transport_cost.item() == pytest.approx(best, abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beyond_the_digits_of_the_costs_nothing_is_called_converged(dtype):
    cost = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=dtype)  # solved by the first iteration
    for ratio, determined in ((0.9, True), (1.1, False), (1e30, False), (1e290, False)):
        result = Sinkhorn(1 / (LARGEST_RATIO[dtype] * ratio))(cost)
        assert bool(result.converged) == determined
        torch.testing.assert_close(result.plan, torch.eye(2, dtype=dtype) / 2)


def test_a_problem_is_solved_as_if_it_were_alone_beside_far_larger_costs():
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(3, 6, 4, generator=generator) * torch.tensor([1.0, 1e3, 1e9])[:, None, None]
    together = Sinkhorn(0.1, 50, 0.0)(cost)
    for i in range(3):
        alone = Sinkhorn(0.1, 50, 0.0)(cost[i])
        torch.testing.assert_close(together.plan[i], alone.plan, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_whole_numbers_are_numbers(dtype):
    cost, counts = torch.arange(12).view(3, 4), torch.tensor([4, 1, 7])
    whole = Sinkhorn()(cost.to(dtype), counts.to(dtype), torch.full((4,), 3, dtype=dtype))
    real = Sinkhorn()(cost.float(), counts.float(), torch.full((4,), 3.0))
    assert torch.equal(whole.plan, real.plan) and whole.plan.sum() == pytest.approx(12)


@pytest.mark.parametrize("size", [1.0, 300.0, 3000.0])  # plain, plain in float64, logarithms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_the_transport_cost_is_the_plan_in_every_form(size, dtype):
    generator = torch.Generator().manual_seed(0)
    cost = pad(size * (torch.rand(4, 3, generator=generator) - 2), (0, 1, 0, 1), value=-1e9)
    a, b = (3 * pad(torch.full((n,), 1 / n), (0, 1)) for n in (4, 3))
    cost = cost.to(dtype).requires_grad_()
    result = Sinkhorn(1.0)(cost, a, b)
    result.transport_cost.backward()
    assert not result.plan.requires_grad and torch.equal(cost.grad, result.plan)
    assert result.plan.sum().item() == pytest.approx(3)


@pytest.mark.parametrize("size", [300.0, 3000.0])
def test_unrolling_gives_the_whole_derivative_in_every_form(size):
    generator = torch.Generator().manual_seed(0)
    cost = size * (torch.rand(2, 4, 3, generator=generator, dtype=torch.float64) - 2)
    cost[:, -1] = -1e5  # padding
    a, b = torch.tensor([1.0, 2.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 2.0])
    solver = Sinkhorn(0.05 * size, 20, unrolled=True)
    sharp = Sinkhorn(0.5, 20, unrolled=True)
    for one in (solver, sharp):
        value = lambda c, one=one: one(c, a, b).transport_cost  # noqa: E731
        assert torch.autograd.gradcheck(value, cost.clone().requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("rule", ["marginal", "scaling"])
@pytest.mark.parametrize("kernel_if_nan", [False, True])
def test_no_rule_makes_a_nan_of_large_costs(rule, kernel_if_nan):
    cost = 1e5 * torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) - 7e4
    solver = Sinkhorn(0.1, rule=rule, groups=(0,), kernel_if_nan=kernel_if_nan)
    result = solver(cost)
    assert result.plan.isfinite().all() and result.converged.shape == (2, 1)
    torch.testing.assert_close(result.plan.sum(-2), torch.full((2, 3, 4), 0.25))
