"""Maps over an image, where the plan is known."""

import math

import pytest
import torch
from multimode_ot.explain.maps import class_map, over_visual_modes, share_maps, token_maps
from multimode_ot.transport import Sinkhorn

EPSILON = 0.1
PATCHES, PROMPT_TOKENS, TOKENS = 12, 2, 3


def planted(patches=PATCHES, prompts=0):
    """An image whose patches are the features of a prompt's tokens, each of a third of them; the
    visual prompt tokens are like none. Plan and similarity `(1, 1, J, L)`."""
    v = torch.eye(8)[:TOKENS]
    named = torch.arange(patches) % TOKENS
    u = torch.cat([v[named], torch.eye(8)[-1:].expand(prompts, -1)])
    similarity = (u @ v.T)[None, None]
    a, b = (torch.full((1, n), 1 / n) for n in (len(u), TOKENS))
    plan = Sinkhorn(EPSILON, 2000, 1e-7)(1 - similarity, a[None], b[None]).plan
    return plan, similarity, named


def random_plans(visual=2, textual=3, local=PATCHES + PROMPT_TOKENS, tokens=5):
    """Plans with a padded token in one textual mode, similarities, a mask, a prompt-level plan."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(textual, tokens, dtype=torch.bool)
    mask[1, -1] = False
    similarity = 2 * torch.rand(visual, textual, local, tokens, generator=generator) - 1
    b = mask / mask.sum(-1, keepdim=True)
    a = torch.full((1, 1, local), 1 / local)
    plan = Sinkhorn(EPSILON, 500, 1e-6)(1 - similarity, a, b[None]).plan
    weights = torch.rand(visual, textual, generator=generator)
    return plan, similarity, mask, weights / weights.sum()


def test_a_token_s_map_lies_on_the_patches_that_are_its_feature():
    plan, _, named = planted()
    maps = token_maps(plan, torch.ones(1, TOKENS, dtype=torch.bool), PATCHES)
    other = math.exp(-1 / EPSILON)
    own = 1 / (1 + (TOKENS - 1) * other)  # the planted problem's solution, by its symmetry
    expected = torch.where(named == torch.arange(TOKENS)[:, None], own, own * other)
    torch.testing.assert_close(maps.patches[0, 0], expected * TOKENS / PATCHES)
    torch.testing.assert_close(maps.elsewhere, torch.zeros(1, 1, TOKENS))


def test_a_token_s_map_and_its_mass_elsewhere_are_a_distribution():
    plan, _, mask, _ = random_plans()
    maps = token_maps(plan, mask, PATCHES)
    total = maps.patches.sum(-1) + maps.elsewhere
    torch.testing.assert_close(total[:, mask], torch.ones(2, int(mask.sum())))
    assert total[:, ~mask].isnan().all() and maps.patches.shape == (2, 3, 5, PATCHES)


def test_what_visual_prompt_tokens_take_is_a_number_and_in_no_map():
    plan, similarity, _ = planted(prompts=PROMPT_TOKENS)
    maps = token_maps(plan, torch.ones(1, TOKENS, dtype=torch.bool), PATCHES)
    # They are as far from every token, and take their mass from all alike.
    share = PROMPT_TOKENS / (PATCHES + PROMPT_TOKENS)
    torch.testing.assert_close(maps.elsewhere, torch.full((1, 1, TOKENS), share))
    shares = share_maps(plan, similarity, PATCHES)
    assert shares.patches.shape == (1, 1, PATCHES)
    torch.testing.assert_close(shares.elsewhere, torch.zeros(1, 1))


def test_shares_sum_to_the_similarity_of_the_pair():
    plan, similarity, _, _ = random_plans()
    shares = share_maps(plan, similarity, PATCHES)
    total = shares.patches.sum(-1) + shares.elsewhere
    torch.testing.assert_close(total, (plan * similarity).sum((-2, -1)))
    by_hand = sum(plan[1, 2, 4, t] * similarity[1, 2, 4, t] for t in range(5))
    torch.testing.assert_close(shares.patches[1, 2, 4], by_hand)


def test_a_patch_s_share_is_high_where_it_matches_a_token():
    u = torch.eye(8)[[0, 1, 2, 7]]  # the last patch is like no token
    similarity = (u @ torch.eye(8)[:TOKENS].T)[None, None]
    a, b = torch.full((1, 1, 4), 1 / 4), torch.full((1, 1, TOKENS), 1 / TOKENS)
    plan = Sinkhorn(EPSILON, 2000, 1e-7)(1 - similarity, a, b).plan
    shares = share_maps(plan, similarity, 4).patches[0, 0]
    assert (shares[:3] > 0.24).all() and shares[3] == 0


def test_the_class_s_map_weighs_the_pairs_by_the_prompt_level_plan():
    plan, similarity, _, weights = random_plans()
    shares = share_maps(plan, similarity, PATCHES)
    whole = class_map(shares, weights)
    by_hand = sum(weights[m, n] * shares.patches[m, n] for m in range(2) for n in range(3))
    torch.testing.assert_close(whole.patches, by_hand)
    total = whole.patches.sum() + whole.elsewhere
    torch.testing.assert_close(total, (weights * (plan * similarity).sum((-2, -1))).sum())


def test_maps_over_visual_modes_are_weighted_by_the_prompt_level_plan():
    plan, _, mask, weights = random_plans()
    maps = token_maps(plan, mask, PATCHES)
    one = torch.zeros(2, 3)
    one[1] = 1 / 3  # all on the second visual mode
    together = over_visual_modes(maps, one)
    torch.testing.assert_close(together.patches, maps.patches[1], equal_nan=True)
    torch.testing.assert_close(together.elsewhere, maps.elsewhere[1], equal_nan=True)
    total = over_visual_modes(maps, weights)
    sums = (total.patches.sum(-1) + total.elsewhere)[mask]
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_a_plan_s_row_sums_are_flat_whatever_the_image():
    plan, _, _, _ = random_plans()
    rows = plan.sum(-1)
    torch.testing.assert_close(rows, torch.full_like(rows, 1 / rows.shape[-1]), rtol=0, atol=1e-6)


def test_more_patches_than_local_outputs_are_refused():
    plan, similarity, mask, _ = random_plans()
    with pytest.raises(ValueError, match="14 local outputs has no 15 patches"):
        token_maps(plan, mask, 15)
    with pytest.raises(ValueError, match="has no 15 patches"):
        share_maps(plan, similarity, 15)
