"""The hierarchical head on random features: its special cases, its reference, its refusals."""

from dataclasses import replace
from functools import partial

import ot
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
from random_features import (
    TIGHT,
    by_loops,
    image_and_text,
    released_by_loops,
)

same = partial(torch.testing.assert_close, atol=1e-9, rtol=0)


def pots(epsilon):
    """POT's plan between uniform marginals, converged."""

    def solve(cost):
        rows, columns = (cost.new_full((size,), 1 / size) for size in cost.shape)
        if epsilon == 0:
            return ot.emd(rows, columns, cost)
        return ot.sinkhorn(
            rows, columns, cost, epsilon, "sinkhorn_log", numItermax=10_000, stopThr=1e-12
        )

    return solve


def uniform_plan(cost):
    return torch.full_like(cost, 1 / cost.numel())


# Special cases


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 10.0])
def test_one_mode_and_no_token_level_is_the_cosine(epsilon):
    image, text = image_and_text(1, 1)
    head = HierarchicalTransport(Sinkhorn(epsilon), beta=0)
    cosine = image.pooled[:, 0] @ text.pooled[:, 0].T
    same(head(image, text).similarity, cosine)
    same(hierarchical_logits(image, text, 100.0, head), 100 * cosine)


def test_the_whole_head_equals_pot_pair_by_pair():
    image, text = image_and_text()
    for beta in (1.0, 0.3):
        result = HierarchicalTransport(Sinkhorn(0.1, **TIGHT), beta)(image, text)
        assert result.unconverged == 0
        same(result.similarity, by_loops(image, text, pots(0.1), beta))


def test_beta_zero_is_prompt_level_transport_alone():
    image, text = image_and_text()
    expected = by_loops(image, text, pots(0.1), beta=0)
    solver = Sinkhorn(0.1, **TIGHT)
    for head in (
        HierarchicalTransport(solver, beta=0),
        HierarchicalTransport(solver, beta=5, alignment="prompt"),
    ):
        assert not head.needs_tokens
        same(head(image, text).similarity, expected)
        same(head(Features(image.pooled), Features(text.pooled)).similarity, expected)


def test_mean_alignment_is_the_mean_over_all_pairs_of_modes():
    image, text = image_and_text()
    result = HierarchicalTransport(Sinkhorn(0.1, **TIGHT), 0.7, "mean")(image, text)
    same(result.similarity, 1 - result.cost.mean((-2, -1)))
    same(result.plan, torch.full_like(result.plan, 1 / 6))
    hierarchical = HierarchicalTransport(Sinkhorn(0.1, **TIGHT), 0.7)(image, text)
    same(result.cost, hierarchical.cost)
    assert (hierarchical.similarity > result.similarity + 1e-3).all()  # the plan matters


def test_token_alignment_has_no_global_term():
    image, text = image_and_text()
    head = HierarchicalTransport(Sinkhorn(0.1, **TIGHT), beta=0, alignment="token")
    expected = by_loops(image, text, pots(0.1), beta=1, pooled=0)
    same(head(image, text).similarity, expected)
    elsewhere = image._replace(pooled=-image.pooled)
    same(head(elsewhere, text).similarity, expected)


def test_exact_transport_is_pots_linear_programme():
    image, text = image_and_text()
    result = HierarchicalTransport(ExactTransport())(image, text)
    same(result.similarity, by_loops(image, text, pots(0)))


def test_small_epsilon_reaches_exact_transport():
    image, text = image_and_text()
    exact = HierarchicalTransport(ExactTransport())(image, text).similarity
    gaps = [
        (HierarchicalTransport(Sinkhorn(e, 20_000, 1e-6))(image, text).similarity - exact).abs()
        for e in (0.1, 0.01, 0.001)
    ]
    assert gaps[0].max() > 10 * gaps[1].max() > 10 * gaps[2].max()
    assert gaps[2].max() < 1e-4


def test_infinite_epsilon_is_the_uniform_plan_on_both_levels():
    image, text = image_and_text()
    result = HierarchicalTransport(Sinkhorn(float("inf")))(image, text)
    same(result.similarity, by_loops(image, text, uniform_plan))


HEADS = [
    HierarchicalTransport(),
    HierarchicalTransport(Sinkhorn(0.02)),
    HierarchicalTransport(ConditionalTransport(torch.tensor(0.2))),
    HierarchicalTransport(ExactTransport()),
    ReleasedTransport(),
]


@pytest.mark.parametrize("head", HEADS)
def test_the_order_of_modes_and_tokens_is_irrelevant(head):
    image, text = image_and_text()
    shuffled_image = Features(image.pooled[:, [1, 0]], image.tokens[:, [1, 0]].flip(2))
    order, positions = [2, 0, 1], torch.randperm(5)
    shuffled_text = Features(
        text.pooled[:, order],
        text.tokens[:, order][:, :, positions],
        text.mask[:, order][:, :, positions],
    )
    same(head(shuffled_image, shuffled_text).similarity, head(image, text).similarity)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("side", ["image", "text"])
def test_identical_modes_are_one_mode(head, side):
    """Exactly so at any tolerance: copies move neither the largest nor the mean violation."""
    image, text = image_and_text(*((1, 3) if side == "image" else (2, 1)))

    def copies(features: Features) -> Features:
        return Features(*(None if t is None else t.repeat_interleave(3, 1) for t in features))

    copied = (copies(image), text) if side == "image" else (image, copies(text))
    if isinstance(head, ReleasedTransport):
        # It stops on the mean change of the row scaling, whose size depends on the row's mass
        # and hence on the number of modes, so only converged logits can agree.
        head = replace(head, tolerance=1e-8, max_iterations=20_000)
    same(head(*copied).similarity, head(image, text).similarity)


@pytest.mark.parametrize("head", HEADS)
def test_padding_a_class_to_a_longer_sequence_changes_nothing(head):
    image, text = image_and_text()
    padded = Features(
        text.pooled,
        torch.cat([text.tokens, torch.ones(4, 3, 9, 6).double()], 2),
        torch.cat([text.mask, torch.zeros(4, 3, 9, dtype=torch.bool)], 2),
    )
    same(head(image, padded).similarity, head(image, text).similarity)
    same(head(image, padded).plan, head(image, text).plan)


@pytest.mark.parametrize("head", HEADS[:3])
def test_masked_tokens_get_no_gradient_and_may_hold_anything(head):
    image, text = image_and_text()
    tokens = text.tokens.clone().requires_grad_()
    result = head(image, text._replace(tokens=tokens))
    result.similarity.sum().backward()
    assert torch.count_nonzero(tokens.grad[~text.mask]) == 0
    assert (tokens.grad[text.mask].abs().sum(-1) > 0).all()
    spoilt = text.tokens.masked_fill(~text.mask.unsqueeze(-1), torch.nan)
    assert torch.equal(head(image, text._replace(tokens=spoilt)).similarity, result.similarity)


# Conditional transport and the released head


def test_conditional_transport_adds_two_expected_costs():
    image, text = image_and_text()
    phi = torch.tensor(0.3, dtype=torch.float64)
    result = HierarchicalTransport(ConditionalTransport(phi))(image, text)

    def plan(cost):
        rows, columns = cost.shape
        return (-cost / phi).softmax(1) / rows + (-cost / phi).softmax(0) / columns

    same(result.similarity, by_loops(image, text, plan))


@pytest.mark.parametrize("hierarchical", [True, False])
@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5])
def test_the_released_head_is_its_double_loop(hierarchical, epsilon):
    image, text = image_and_text(one_length=True)
    ours = ReleasedTransport(epsilon, hierarchical=hierarchical)(image, text)
    same(ours.similarity, released_by_loops(image, text, epsilon, hierarchical))


@pytest.mark.parametrize("level", ["prompt", "token"])
def test_only_the_released_prompt_level_depends_on_who_shares_the_batch(level):
    image, text = image_and_text(modes=3)
    head = ReleasedTransport(0.3)
    alone = head(Features(image.pooled[:1], image.tokens[:1]), text)
    together = head(image, text)
    if level == "token":
        same(together.cost[:1], alone.cost)
    else:
        assert (together.similarity[:1] - alone.similarity).abs().max() > 1e-7


def test_no_gradient_reaches_a_token_of_the_released_head():
    image, text = (side._replace(tokens=side.tokens.requires_grad_()) for side in image_and_text())
    z, h = image.pooled.requires_grad_(), text.pooled.requires_grad_()
    result = ReleasedTransport()(image, text)
    result.similarity.sum().backward()
    assert image.tokens.grad is None and text.tokens.grad is None
    same(z.grad, torch.einsum("bkmn,knd->bmd", result.plan, h.detach()))


# Refusals and precision


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("head", [HierarchicalTransport(), ReleasedTransport()])
def test_missing_tokens_are_refused(head, side):
    sides = list(image_and_text())
    sides[side] = Features(sides[side].pooled)
    with pytest.raises(ValueError, match="needs the tokens"):
        hierarchical_logits(*sides, 100.0, head)


@pytest.mark.parametrize("head", [HierarchicalTransport(), ReleasedTransport()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_features_are_aligned_in_float32(head, dtype):
    image, text = image_and_text(dtype=torch.float32)
    half = [s._replace(pooled=s.pooled.to(dtype), tokens=s.tokens.to(dtype)) for s in (image, text)]
    back = [s._replace(pooled=s.pooled.float(), tokens=s.tokens.float()) for s in half]
    result = head(*half)
    assert result.similarity.dtype == torch.float32
    assert torch.equal(result.similarity, head(*back).similarity)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(*half).similarity, result.similarity)


@pytest.mark.parametrize("beta", [20.0, 1000.0])
def test_a_large_beta_underflows_nowhere(beta):
    single, double = (
        HierarchicalTransport(beta=beta)(*image_and_text(dtype=dtype))
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(single.similarity.double(), double.similarity, rtol=1e-3, atol=0)


def test_problems_at_the_iteration_cap_are_counted():
    image, text = image_and_text()
    capped = HierarchicalTransport(Sinkhorn(0.1, 2, 1e-12))(image, text)
    assert capped.unconverged == 2 * 4 * (2 * 3 + 1)
    assert ReleasedTransport(0.01, 2, 1e-12)(image, text).unconverged == 2 * 4 * (2 * 3 + 1)
