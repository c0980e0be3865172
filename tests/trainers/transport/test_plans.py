"""Token-level plans of chosen pairs: those that the similarities of the whole call are made of."""

import pytest
import torch
from multimode_ot.transport import ConditionalTransport, ExactTransport, Sinkhorn
from multimode_ot.transport.hierarchical import measure
from multimode_ot.transport.token_level import token_plans, token_transport
from random_features import image_and_text

SOLVERS = {
    "one rule for all": Sinkhorn(),
    "each image and class": Sinkhorn(groups=(0, 2)),
    "mean change": Sinkhorn(rule="scaling", tolerance=1e-2),
    "mean change, each image and class": Sinkhorn(rule="scaling", tolerance=1e-2, groups=(0, 2)),
    "logarithms": Sinkhorn(0.005, 500),
    "capped": Sinkhorn(0.02, max_iterations=3),
    "unrolled": Sinkhorn(unrolled=True),
    "conditional": ConditionalTransport(torch.tensor(0.1).double()),
    "exact": ExactTransport(),
}


def problems():
    image, text = image_and_text()
    return *measure(image.tokens, image.mask), *measure(text.tokens, text.mask)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("cost_bytes", [1, None])
def test_similarity_and_mass_are_those_of_the_plans(solver, cost_bytes):
    u, a, v, b = problems()
    whole = token_transport(u, v, a, b, solver, cost_bytes)
    images, classes = torch.cartesian_prod(torch.arange(len(u)), torch.arange(len(v))).T
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, classes = images[order], classes[order]
    found = token_plans(u, v, a, b, solver, images, classes, cost_bytes)
    same = {"atol": 1e-9, "rtol": 0}
    similarity = (found.plan * found.similarity).sum((-2, -1))
    torch.testing.assert_close(similarity, whole.similarity[images, :, classes], **same)
    mass = found.plan.sum((-2, -1))
    torch.testing.assert_close(mass, whole.mass[images, :, classes], **same)
    torch.testing.assert_close(found.a, a[images], **same)
    torch.testing.assert_close(found.b, b[classes], **same)
    padded = (found.b == 0)[:, None, :, None].expand_as(found.plan)
    assert padded.any() and not found.plan[padded].any()


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_a_plan_has_the_mass_that_its_solver_says(solver):
    u, a, v, b = problems()
    pair = torch.tensor([1]), torch.tensor([0])
    mass = token_plans(u, v, a, b, solver, *pair).plan.sum((-2, -1))
    torch.testing.assert_close(mass, torch.full_like(mass, solver.mass), atol=1e-9, rtol=0)


def test_no_pair_has_no_plan():
    u, a, v, b = problems()
    none = torch.zeros(0, dtype=torch.long)
    found = token_plans(u, v, a, b, Sinkhorn(), none, none)
    assert found.plan.shape == (0, u.shape[1], v.shape[1], u.shape[2], v.shape[2])


def test_unsound_features_are_refused_where_nobody_vouches():
    u, a, v, b = problems()
    one = torch.tensor([0])
    with pytest.raises(ValueError, match=r"\bu\b"):
        token_plans(2 * u, v, a, b, Sinkhorn(), one, one)
    with pytest.raises(ValueError, match=r"\bb\b"):
        token_plans(u, v, a, 2 * b, Sinkhorn(), one, one)
