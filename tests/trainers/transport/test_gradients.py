"""The head's gradients, and that neither they nor its values depend on memory."""

from dataclasses import replace

import pytest
import torch
from multimode_ot.transport import (
    ConditionalTransport,
    ExactTransport,
    HierarchicalTransport,
    ReleasedTransport,
    Sinkhorn,
)
from random_features import TIGHT, by_loops, image_and_text
from torch import Tensor

LEAVES = ("z", "u", "h", "v")


def leaves_and_head(head):
    """The four feature tensors, and the head's similarity and whole result as functions of them."""
    image, text = image_and_text()
    leaves = [t.clone().requires_grad_() for t in (*image[:2], *text[:2])]

    def similarity(z: Tensor, u: Tensor, h: Tensor, v: Tensor) -> Tensor:
        return run(z, u, h, v).similarity

    def run(z: Tensor, u: Tensor, h: Tensor, v: Tensor):
        return head(image._replace(pooled=z, tokens=u), text._replace(pooled=h, tokens=v))

    return leaves, similarity, run


def gradients(values: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Of a combination in which every class has another weight."""
    weights = torch.linspace(-1, 2, values.numel(), dtype=values.dtype).view_as(values)
    found = torch.autograd.grad((weights * values).sum(), leaves, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(leaves, found, strict=True)]


@pytest.mark.parametrize("epsilon", [0.03, 0.1])  # log form, kernel form
@pytest.mark.parametrize("cost_bytes", [1, 2**30])
def test_gradients_are_plain_autograds_with_constant_plans(epsilon, cost_bytes):
    solver = Sinkhorn(epsilon, **TIGHT)
    head = HierarchicalTransport(solver, 0.7, cost_bytes=cost_bytes)
    leaves, similarity, _ = leaves_and_head(head)
    ours = gradients(similarity(*leaves), leaves)
    image, text = image_and_text()
    z, u, h, v = leaves
    looped = by_loops(
        image._replace(pooled=z, tokens=u),
        text._replace(pooled=h, tokens=v),
        lambda cost: solver(cost).plan,
        beta=0.7,
    )
    for name, one, other in zip(LEAVES, ours, gradients(looped, leaves), strict=True):
        assert one.abs().max() > 1e-3, name
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0, msg=name)


@pytest.mark.parametrize("alignment", ["hierarchical", "prompt"])
def test_gradcheck_of_the_prompt_levels_entropic_value(alignment):
    """`min_T <T, C> - epsilon H(T)`, whose exact gradient has the plan constant (Danskin)."""
    epsilon = 0.3
    head = HierarchicalTransport(Sinkhorn(epsilon, **TIGHT), alignment=alignment)
    (z, u, h, v), _, run = leaves_and_head(head)

    def value(z: Tensor, h: Tensor) -> Tensor:
        result = run(z, u.detach(), h, v.detach())
        entropy = -(result.plan * (result.plan.log() - 1)).sum((-2, -1))
        return (1 - result.similarity) - epsilon * entropy.detach()

    assert torch.autograd.gradcheck(value, (z, h), fast_mode=True)


def test_gradcheck_of_the_token_levels_entropic_value():
    """`token_transport` holds plans constant; with the entropy added that is exact."""
    image, text = image_and_text()
    solver = Sinkhorn(0.3, **TIGHT)
    u, v = image.tokens[:1, :1].clone(), text.tokens[:1, :1].clone()

    def value(u: Tensor, v: Tensor) -> Tensor:
        plain = text._replace(pooled=text.pooled[:1, :1], tokens=v, mask=text.mask[:1, :1])
        one = image._replace(pooled=image.pooled[:1, :1], tokens=u)
        head = HierarchicalTransport(solver, alignment="token")
        distance = 1 - head(one, plain).similarity  # one mode a side: the distance itself
        tokens = v[0, 0][text.mask[0, 0]]
        entropy = solver((1 - u[0, 0] @ tokens.T).detach()).entropy
        return distance - 0.3 * entropy

    assert torch.autograd.gradcheck(value, (u.requires_grad_(), v.requires_grad_()))


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_gradcheck_of_the_unrolled_head(beta):
    """Unrolled and converged, the gradient is the whole derivative of the similarity."""
    solver = Sinkhorn(0.5, 200, 1e-11, unrolled=True)
    image, text = image_and_text()
    few = [t[:2, :1].clone().requires_grad_() for t in (*image[:2], *text[:2])]
    head = HierarchicalTransport(solver, beta)

    def value(z: Tensor, u: Tensor, h: Tensor, v: Tensor) -> Tensor:
        one = image._replace(pooled=z, tokens=u)
        return head(one, text._replace(pooled=h, tokens=v, mask=text.mask[:2, :1])).similarity

    assert torch.autograd.gradcheck(value, few, fast_mode=True)


HEADS = {
    "paper": HierarchicalTransport(),
    "tight": HierarchicalTransport(Sinkhorn(0.1, **TIGHT)),
    "one iteration for some": HierarchicalTransport(Sinkhorn(0.1, 100, 0.4)),
    "log form": HierarchicalTransport(Sinkhorn(0.02)),
    "iteration cap": HierarchicalTransport(Sinkhorn(0.05, 5, 1e-2)),
    "scaling rule": HierarchicalTransport(Sinkhorn(0.3, rule="scaling", tolerance=1e-2)),
    "stops by image": HierarchicalTransport(Sinkhorn(0.1, groups=(0,))),
    "stops by class": HierarchicalTransport(Sinkhorn(0.1, groups=(2,))),
    "unrolled": HierarchicalTransport(Sinkhorn(0.3, 20, unrolled=True)),
    "token": HierarchicalTransport(alignment="token"),
    "mean": HierarchicalTransport(alignment="mean"),
    "ct": HierarchicalTransport(ConditionalTransport(torch.tensor(0.2).double())),
    "emd": HierarchicalTransport(ExactTransport()),
    "released": ReleasedTransport(),
}


@pytest.mark.parametrize("name", HEADS)
def test_no_result_and_no_gradient_depends_on_cost_bytes(name):
    outcomes = []
    three_classes = 3 * (2 * 2 * 7) * (3 * 5) * 8
    for cost_bytes in (2**30, three_classes, 1):
        leaves, _, run = leaves_and_head(replace(HEADS[name], cost_bytes=cost_bytes))
        result = run(*leaves)
        outcomes.append((result, gradients(result.similarity, leaves)))
    (whole, whole_gradients), *others = outcomes
    for chunked, chunked_gradients in others:
        assert chunked.unconverged == whole.unconverged
        for field in ("similarity", "cost", "plan"):
            torch.testing.assert_close(
                getattr(chunked, field), getattr(whole, field), atol=1e-12, rtol=0
            )
        for leaf, one, other in zip(LEAVES, chunked_gradients, whole_gradients, strict=True):
            torch.testing.assert_close(one, other, atol=1e-10, rtol=0, msg=leaf)


def test_the_temperature_of_conditional_transport_gets_its_whole_gradient():
    image, text = image_and_text()
    phi = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    for cost_bytes in (1, 2**30):

        def value(phi: Tensor, cost_bytes: int = cost_bytes) -> Tensor:
            head = HierarchicalTransport(ConditionalTransport(phi), cost_bytes=cost_bytes)
            return head(image, text).similarity

        assert torch.autograd.gradcheck(value, (phi,))


def test_a_second_derivative_is_refused_rather_than_wrong():
    leaves, similarity, _ = leaves_and_head(HierarchicalTransport(alignment="token"))
    squares = similarity(*leaves).square().sum()
    (first,) = torch.autograd.grad(squares, leaves[1:2], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
