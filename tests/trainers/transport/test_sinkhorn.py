"""Sinkhorn's solver against POT, its limits, its contract on convergence, masks and gradients."""

from dataclasses import replace

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from multimode_ot.transport import Sinkhorn
from torch import Tensor

CONVERGED = {"max_iterations": 20_000, "tolerance": 1e-12}


def random_problems(*shape: int, seed: int = 0, dtype=torch.float64) -> tuple[Tensor, ...]:
    """Costs of the size of cosine distances, and marginals that are not uniform."""
    generator = torch.Generator().manual_seed(seed)
    cost = 2 * torch.rand(shape, generator=generator, dtype=dtype)
    a = torch.rand(shape[:-1], generator=generator, dtype=dtype) + 0.2
    b = torch.rand((*shape[:-2], shape[-1]), generator=generator, dtype=dtype) + 0.2
    return cost, a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)


def uniform(size: int, zeros: int = 0, dtype=torch.float64) -> Tensor:
    mass = torch.full((size,), 1 / (size - zeros), dtype=dtype)
    mass[size - zeros :] = 0
    return mass


# Against POT


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
def test_float64_plan_is_pots_to_1e_9(epsilon):
    cost, a, b = random_problems(3, 9, 6)
    ours = Sinkhorn(epsilon, **CONVERGED)(cost, a, b)
    assert ours.converged.all()
    for i in range(3):
        theirs = ot.sinkhorn(
            a[i], b[i], cost[i], epsilon, method="sinkhorn_log", numItermax=50_000, stopThr=1e-13
        )
        torch.testing.assert_close(ours.plan[i], theirs, atol=1e-9, rtol=0)


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
def test_float32_plan_is_pots_float64_plan_to_1e_5(epsilon):
    cost, a, b = random_problems(4, 20, 8)
    single = Sinkhorn(epsilon, 20_000, 1e-6)(cost.float(), a.float(), b.float())
    assert single.plan.dtype == torch.float32
    theirs = ot.batch.solve_batch(
        cost, reg=epsilon, a=a, b=b, max_iter=20_000, tol=1e-10, method="log_sinkhorn"
    )
    torch.testing.assert_close(single.plan.double(), theirs.plan, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.1, 0.3]),
    st.integers(0, 10_000),
)
def test_plan_is_pots_for_problems_of_any_size(rows, columns, epsilon, seed):
    cost, a, b = random_problems(1, rows, columns, seed=seed)
    ours = Sinkhorn(epsilon, **CONVERGED)(cost, a, b).plan[0]
    theirs = ot.sinkhorn(a[0], b[0], cost[0], epsilon, numItermax=50_000, stopThr=1e-13)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)


@pytest.mark.parametrize("epsilon", [0.1, 0.03, 0.01])
def test_as_epsilon_falls_the_cost_approaches_the_exact_one_from_above(epsilon):
    cost, a, b = random_problems(3, 7, 5)
    ours = Sinkhorn(epsilon, max_iterations=50_000, tolerance=1e-8)(cost, a, b)
    exact = torch.stack([ot.emd2(a[i], b[i], cost[i]) for i in range(3)])
    gap = ours.transport_cost - exact
    assert ours.converged.all() and (gap >= -1e-7).all()
    assert (gap <= epsilon * torch.log(torch.tensor(35.0))).all()  # entropies differ by log(J * L)
    if epsilon == 0.01:
        assert gap.max() < 5e-3


@pytest.mark.parametrize("epsilon", [1e6, float("inf")])
def test_large_epsilon_gives_the_independent_plan(epsilon):
    cost, a, b = random_problems(2, 6, 4)
    plan = Sinkhorn(epsilon, tolerance=1e-9)(cost, a, b).plan
    torch.testing.assert_close(plan, a[:, :, None] * b[:, None], atol=1e-6, rtol=0)
    flat = Sinkhorn(epsilon, tolerance=1e-9)(cost).plan
    torch.testing.assert_close(flat, torch.full_like(flat, 1 / 24), atol=1e-6, rtol=0)


def test_both_forms_make_the_same_plan():
    cost, a, b = random_problems(3, 8, 5, dtype=torch.float32)
    kernel, log = (Sinkhorn(0.1, tolerance=1e-5, largest_cost=bound) for bound in (4, 100))
    assert log.in_log_form and not kernel.in_log_form
    kernel, log = kernel(cost, a, b), log(cost, a, b)
    torch.testing.assert_close(kernel.plan, log.plan, atol=1e-6, rtol=1e-4)
    assert torch.equal(kernel.iterations, log.iterations)


@pytest.mark.parametrize("epsilon", [1e-3, 0.04, 0.0501, 0.1])
def test_no_plan_underflows_in_float32(epsilon):
    cost = torch.full((1, 4, 3), 4.0)  # two levels of cosine distances, all at their largest
    cost[0, 0, 0] = 0
    plan = Sinkhorn(epsilon, largest_cost=4)(cost).plan
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(-2), torch.full((1, 3), 1 / 3))


@pytest.mark.parametrize("epsilon", [0.02, 0.1])
def test_costs_beyond_the_usual_stay_finite_once_announced(epsilon):
    cost = torch.full((1, 4, 3), 60.0)
    cost[0, 0, 0] = 0
    result = Sinkhorn(epsilon, largest_cost=60)(cost)
    assert result.plan.isfinite().all()


# Convergence


def test_a_solve_that_reports_convergence_meets_its_marginals():
    cost, a, b = random_problems(5, 10, 7)
    result = Sinkhorn(0.1, 1000, tolerance=1e-4)(cost, a, b)
    assert result.converged.all() and result.iterations.max() < 1000
    row_violation = (result.plan.sum(-1) - a).abs().sum(-1)
    assert row_violation.max() <= 1e-4 * 1.001
    torch.testing.assert_close(result.error, row_violation, atol=1e-12, rtol=0)
    torch.testing.assert_close(result.plan.sum(-2), b)


def test_it_stops_at_the_first_iteration_within_the_tolerance():
    problem = random_problems(5, 10, 7)
    stopped = Sinkhorn(0.1, 1000, tolerance=1e-4)(*problem)
    one_less = Sinkhorn(0.1, int(stopped.iterations.max()) - 1, tolerance=1e-4)(*problem)
    assert not one_less.converged.any()
    assert one_less.error.max() > 1e-4


def test_hitting_the_iteration_cap_is_reported():
    result = Sinkhorn(0.1, max_iterations=3, tolerance=1e-9)(*random_problems(2, 9, 8))
    assert not result.converged.any()
    assert (result.iterations == 3).all()
    assert (result.error > 1e-9).any()


def test_the_scaling_rule_stops_as_the_released_program_does():
    cost, a, b = random_problems(4, 9, 6, seed=3)
    for tolerance in (1e-2, 1e-4):
        ours = Sinkhorn(0.1, 100, tolerance, rule="scaling")(cost, a, b)
        kernel, r, c = torch.exp(-cost / 0.1), torch.ones_like(a), torch.ones_like(b)
        for steps in range(1, 101):  # noqa: B007
            previous = r
            r = a / (kernel @ c[..., None])[..., 0]
            c = b / (kernel.mT @ r[..., None])[..., 0]
            if (r - previous).abs().mean() < tolerance:
                break
        assert (ours.iterations == steps).all() and steps < 100
        torch.testing.assert_close(ours.plan, r[..., None] * kernel * c[..., None, :])


@pytest.mark.parametrize("rule", ["marginal", "scaling"])
@pytest.mark.parametrize("epsilon", [0.03, 0.1])
def test_groups_stop_independently_of_each_other(rule, epsilon):
    cost, a, b = random_problems(3, 2, 8, 5)
    cost = cost * torch.tensor([0.01, 0.3, 1.0], dtype=cost.dtype)[:, None, None, None]
    solver = Sinkhorn(epsilon, 2000, 1e-6, rule=rule)
    alone = [solver(cost[i], a[i], b[i]) for i in range(3)]
    steps = [int(result.iterations.max()) for result in alone]
    assert len(set(steps)) == 3
    grouped = Sinkhorn(epsilon, 2000, 1e-6, rule=rule, groups=(0,))(cost, a, b)
    assert grouped.converged.all() and grouped.iterations.flatten().tolist() == steps
    for i in range(3):
        torch.testing.assert_close(grouped.plan[i], alone[i].plan, atol=1e-15, rtol=1e-12)


def test_without_groups_the_slowest_problem_rules():
    cost, a, b = random_problems(3, 8, 5)
    cost = cost * torch.tensor([0.01, 0.3, 1.0], dtype=cost.dtype)[:, None, None]
    solver = Sinkhorn(0.1, 2000, 1e-6)
    slowest = max(int(solver(cost[i], a[i], b[i]).iterations.max()) for i in range(3))
    assert int(solver(cost, a, b).iterations.max()) == slowest


def test_iterations_have_one_shape_however_soon_it_stops():
    cost, a, b = random_problems(3, 2, 8, 5)
    at_once = Sinkhorn(0.1, 100, tolerance=10, groups=(0,))(cost, a, b)
    later = Sinkhorn(0.1, 100, tolerance=1e-3, groups=(0,))(cost, a, b)
    assert (at_once.iterations == 1).all()
    assert at_once.iterations.shape == later.iterations.shape == (3, 1)
    assert at_once.converged.shape == (3, 1) and at_once.error.shape == (3, 2)


# Masks


@pytest.mark.parametrize("padding_cost", [0.0, 1.0, 4.0, 1e4])
@pytest.mark.parametrize("epsilon", [0.02, 0.1])
@pytest.mark.parametrize("unrolled", [False, True])
def test_padding_gets_exactly_no_mass_and_no_gradient(padding_cost, epsilon, unrolled):
    cost = random_problems(2, 6, 5)[0]
    cost[:, 4:], cost[:, :, 3:] = padding_cost, padding_cost
    cost.requires_grad_()
    solver = Sinkhorn(epsilon, 500, 1e-8, unrolled=unrolled)
    result = solver(cost, uniform(6, zeros=2), uniform(5, zeros=2))
    result.transport_cost.sum().backward()
    for values in (result.plan, cost.grad):
        assert torch.count_nonzero(values[:, 4:]) == 0
        assert torch.count_nonzero(values[:, :, 3:]) == 0
        assert values[:, :4, :3].isfinite().all()
    without = solver(cost[:, :4, :3])
    torch.testing.assert_close(result.plan[:, :4, :3], without.plan)
    assert torch.equal(result.iterations, without.iterations)


# Gradients


@pytest.mark.parametrize("unrolled", [False, True])
def test_gradient_of_the_entropic_value_is_exact(unrolled):
    cost, a, b = random_problems(1, 5, 4)
    solver = Sinkhorn(0.5, 1000, 1e-11, unrolled=unrolled)
    value = lambda c: solver(c, a, b).entropic_cost  # noqa: E731
    assert torch.autograd.gradcheck(value, cost.requires_grad_())


def test_gradient_of_the_entropic_value_is_the_plan():
    cost, a, b = random_problems(2, 5, 4)
    result = Sinkhorn(0.1, **CONVERGED)(cost.requires_grad_(), a, b)
    (gradient,) = torch.autograd.grad(result.entropic_cost.sum(), cost)
    assert not result.plan.requires_grad
    torch.testing.assert_close(gradient, result.plan, atol=1e-12, rtol=0)


@pytest.mark.parametrize("largest_cost", [4, 100])  # kernel form, log form
def test_unrolling_gives_the_whole_derivative_of_the_transport_cost(largest_cost):
    cost, a, b = random_problems(1, 4, 3)
    solver = Sinkhorn(0.5, 1000, 1e-11, unrolled=True, largest_cost=largest_cost)
    value = lambda c: solver(c, a, b).transport_cost  # noqa: E731
    assert torch.autograd.gradcheck(value, cost.requires_grad_())
    (whole,) = torch.autograd.grad(value(cost).sum(), cost)
    assert (whole - solver(cost, a, b).plan).abs().max() > 1e-3


# Precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_costs_are_solved_in_float32(dtype):
    cost = random_problems(2, 6, 4, dtype=torch.float32)[0].to(dtype)
    result = Sinkhorn()(cost)
    assert result.plan.dtype == torch.float32
    assert torch.equal(result.plan, Sinkhorn()(cost.float()).plan)


def test_autocast_does_not_reach_the_solver():
    cost, a, b = random_problems(2, 9, 6, dtype=torch.float32)
    outside = Sinkhorn()(cost, a, b)
    with torch.autocast("cpu", torch.bfloat16):
        inside = Sinkhorn()(cost, a, b)
    assert torch.equal(inside.plan, outside.plan)


def test_the_kernel_stands_in_for_a_nan_plan_of_its_group_only():
    cost = random_problems(2, 3, 6, 4, dtype=torch.float32)[0]
    cost[1, 2] = 1e4  # no kernel entry survives, contrary to what the caller vouches for
    solver = Sinkhorn(0.1, rule="scaling", groups=(0,), largest_cost=4)
    sane = solver(cost)
    assert sane.plan[1, 2].isnan().any()
    released = replace(solver, kernel_if_nan=True)(cost)
    assert torch.equal(released.plan[0], sane.plan[0])
    assert torch.equal(released.plan[1], torch.exp(-cost[1] / 0.1))


def test_padding_is_no_nan_plan():
    cost = random_problems(2, 6, 4)[0]
    for epsilon in (0.02, 0.1):
        solve = {flag: Sinkhorn(epsilon, kernel_if_nan=flag) for flag in (True, False)}
        plans = [solver(cost, uniform(6, zeros=2)).plan for solver in solve.values()]
        assert torch.equal(*plans)
