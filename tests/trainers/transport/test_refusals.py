"""Bad arguments of solvers and heads: one error that names the argument, never a number."""

from dataclasses import replace

import pytest
import torch
from multimode_ot.transport import (
    ConditionalTransport,
    ExactTransport,
    Features,
    HierarchicalTransport,
    ReleasedTransport,
    Sinkhorn,
    hierarchical_logits,
)
from multimode_ot.transport.token_level import token_transport
from random_features import image_and_text

NAN, INF = float("nan"), float("inf")
TRANSPORTS = [Sinkhorn(), ConditionalTransport(torch.tensor(0.1)), ExactTransport()]
HEADS = [HierarchicalTransport(transport) for transport in TRANSPORTS] + [ReleasedTransport()]
any_transport = pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda t: type(t).__name__)
any_head = pytest.mark.parametrize("head", HEADS)
a_or_b = pytest.mark.parametrize("name", ["a", "b"])


def problem(**changes):
    third = torch.full((2, 3), 1 / 3)
    return {"cost": torch.rand(2, 3, 3), "a": third, "b": third.clone()} | changes


def spoilt(values, value, *index):
    values = values.clone()
    values[index] = value
    return values


# Problems


@any_transport
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["cost", "a", "b"])
def test_nan_and_inf_are_refused_by_name_and_place(transport, name, value):
    given = problem()
    place = (1, 2, 0)[: given[name].ndim]
    with pytest.raises(ValueError, match=rf"^{name} has -?(nan|inf) at \[1, 2"):
        transport(**given | {name: spoilt(given[name], value, *place)})


@any_transport
@a_or_b
def test_a_negative_mass_is_refused(transport, name):
    masses = torch.tensor([0.7, 0.5, -0.2]).expand(2, 3)
    with pytest.raises(ValueError, match=rf"^{name} has -0.2 at \[0, 2\]"):
        transport(**problem(**{name: masses}))


@any_transport
@pytest.mark.parametrize("factor", [2, 0.5, 1.001, 0.999, 1e-6])
@a_or_b
def test_masses_that_differ_are_refused_with_their_sums(transport, name, factor):
    given = problem()
    scaled = given[name] * torch.tensor([[1.0], [factor]])
    with pytest.raises(ValueError, match=r"a sums to .* and b to .* in problem \[1\]: both must"):
        transport(**given | {name: scaled})


@any_transport
def test_problems_without_mass_are_refused(transport):
    nothing = torch.tensor([[1.0], [0.0]]) * problem()["a"]
    with pytest.raises(ValueError, match="a sums to 0 and b to 0"):
        transport(**problem(a=nothing, b=nothing))


@any_transport
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 3), (3,), ()])
def test_empty_axes_are_refused(transport, shape):
    with pytest.raises(ValueError, match="cost of shape"):
        transport(torch.zeros(shape), torch.ones(3) / 3, torch.ones(3) / 3)


@any_transport
@pytest.mark.parametrize("bad", [[[1.0]], None, 1.0, torch.ones(2, 3, 3) * 1j])
def test_what_is_no_tensor_of_real_numbers_is_refused(transport, bad):
    with pytest.raises(ValueError, match="cost must be a tensor of real numbers"):
        transport(**problem(cost=bad))


@any_transport
@a_or_b
def test_a_marginal_that_is_no_tensor_is_refused(transport, name):
    with pytest.raises(ValueError, match=f"{name} must be a tensor of real numbers, not list"):
        transport(**problem(**{name: [1 / 3] * 3}))


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("shape", [(9,), (3, 5), (7, 4)])
@any_transport
def test_marginals_that_do_not_fit_are_refused(transport, name, shape):
    fitting = {"a": torch.full((5,), 0.2), "b": torch.full((5,), 0.2)}
    with pytest.raises(ValueError, match=f"marginal {name}"):
        transport(torch.rand(2, 5, 5), **fitting | {name: torch.rand(shape)})


@any_transport
@pytest.mark.parametrize("mass", [1e-6, 2.0, 1e6])
def test_a_plan_scales_with_the_mass(transport, mass):
    given = problem()
    one = transport(**given).plan
    scaled = transport(given["cost"], mass * given["a"], mass * given["b"]).plan
    torch.testing.assert_close(scaled / mass, one)


@any_transport
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_masses_may_differ_by_the_rounding_of_their_dtype(transport, dtype):
    cost = torch.rand(7, 3)
    plan = transport(cost, torch.full((7,), 1 / 7, dtype=dtype), torch.full((3,), 1 / 3)).plan
    assert plan.isfinite().all()


@pytest.mark.parametrize(
    "bad",
    [
        {"epsilon": 0.0},
        {"epsilon": NAN},
        {"max_iterations": 0},
        {"tolerance": NAN},
        {"rule": "colour"},
        {"groups": (-1,)},
        {"largest_cost": 0.0},
        {"largest_cost": NAN},
    ],
)
def test_an_argument_outside_its_range_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Sinkhorn(**bad)


@pytest.mark.parametrize("phi", [0.0, -0.1, NAN, INF, [0.1, 0.2], 1e-320])
def test_a_temperature_that_is_no_positive_number_is_refused(phi):
    transport = ConditionalTransport(torch.tensor(phi, dtype=torch.float64))
    with pytest.raises(ValueError, match="phi"):
        transport(**problem(cost=1 + torch.rand(2, 3, 3)))


# Features


@any_head
@pytest.mark.parametrize("value", [NAN, INF, 20.0])
@pytest.mark.parametrize("field", ["pooled", "tokens"])
@pytest.mark.parametrize("side", [0, 1])
def test_features_that_are_no_finite_unit_vectors_are_refused(head, side, field, value):
    sides = list(image_and_text())
    values = getattr(sides[side], field)
    bad = spoilt(values, value, 1, 0, *([0] * (values.ndim - 2)))
    sides[side] = sides[side]._replace(**{field: bad})
    name = f"{('image', 'text')[side]}.{field}"
    with pytest.raises(ValueError, match=rf"^{name} must be finite and L2-normalised.*\[1, 0"):
        head(*sides)
    with pytest.raises(ValueError, match=name):
        hierarchical_logits(*sides, 100.0, head)


@any_head
def test_a_mode_without_tokens_is_refused(head):
    image, text = image_and_text()
    empty = spoilt(text.mask, False, 2, 1)
    with pytest.raises(ValueError, match=r"text has no token in the mode at \[2, 1\]"):
        head(image, text._replace(mask=empty))


@any_head
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text._replace(pooled=text.pooled[:, 0]), "text.pooled of shape"),
        (lambda text: text._replace(pooled=text.pooled[:0]), "text.pooled of shape"),
        (lambda text: text._replace(tokens=text.tokens[:2]), "text.tokens of shape"),
        (lambda text: text._replace(mask=text.mask[:, :, :2]), "text.mask"),
        (lambda text: text._replace(mask=text.mask.long()), "text.mask"),
        (lambda text: Features(*(t[..., :4] for t in text[:2]), text.mask), "width"),
    ],
)
def test_features_that_do_not_fit_are_refused(head, change, named):
    image, text = image_and_text()
    with pytest.raises(ValueError, match=named):
        head(image, change(text))


@pytest.mark.parametrize("scale", [NAN, INF, torch.tensor(NAN)])
def test_a_scale_that_is_not_finite_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        hierarchical_logits(*image_and_text(), scale)


@pytest.mark.parametrize("bad", [{"beta": NAN}, {"beta": INF}, {"alignment": "promt"}])
def test_a_heads_argument_outside_its_range_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        HierarchicalTransport(**bad)


@any_transport
@pytest.mark.parametrize("name", ["u", "v", "a", "b"])
@pytest.mark.parametrize("value", [NAN, INF, 3.0])
def test_bad_arguments_of_token_transport_are_refused_by_name(transport, name, value):
    image, text = image_and_text()
    given = {
        "u": image.tokens,
        "v": text.tokens,
        "a": torch.full((2, 2, 7), 1 / 7),
        "b": torch.full((4, 3, 5), 1 / 5),
    }
    bad = spoilt(given[name], value, 1, 0, 0)
    with pytest.raises(ValueError, match=rf"^{name} "):
        token_transport(**given | {name: bad}, transport=transport)


@any_head
def test_vouching_changes_no_digit(head):
    image, text = image_and_text(dtype=torch.float32)
    looked_at, vouched = head(image, text), replace(head, vouched=True)(image, text)
    assert torch.equal(looked_at.similarity, vouched.similarity)
    assert torch.equal(looked_at.plan, vouched.plan)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_a_small_epsilon_keeps_its_digits_where_costs_are_vouched_for(epsilon):
    image, text = image_and_text(dtype=torch.float32)
    exact = [f._replace(pooled=f.pooled.double(), tokens=f.tokens.double()) for f in (image, text)]
    head = HierarchicalTransport(Sinkhorn(epsilon, 50), vouched=True)
    single, double = head(image, text), head(*exact)
    torch.testing.assert_close(single.similarity.double(), double.similarity, atol=2e-6, rtol=0)
