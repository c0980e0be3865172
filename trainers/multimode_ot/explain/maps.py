"""Maps over an image, made of transport plans; docs/explain.md has the formulas.

The row sums of a plan are its marginal, the same for every patch: they show nothing and are not
made here. Axes: `M` visual and `N` textual modes, `J` local outputs of the image, of which the
first `O` are patches and the others visual prompt tokens, `L` tokens of a prompt (padded).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TokenMaps(NamedTuple):
    """For each token of each pair of modes, where in the image its mass lies.

    Attributes:
        patches: `(M, N, L, O)`, `L_n * Tt[m, n][p, l]`; NaN for padded tokens. With the mass
            elsewhere, each is a distribution, of conditional transport too, whose column marginals
            are not uniform: columns are divided by their own mass, which else is `1 / L_n`.
        elsewhere: `(M, N, L)`, the mass on visual prompt tokens, which have no place in the image.
    """

    patches: Tensor
    elsewhere: Tensor


class ShareMaps(NamedTuple):
    """For each pair of modes, each patch's share in the similarity of image and class.

    Attributes:
        patches: `(M, N, O)`, `sum_l Tt[m, n][p, l] S[m, n][p, l]`.
        elsewhere: `(M, N)`, the share of the visual prompt tokens. Both sum to `<Tt, S>`.
    """

    patches: Tensor
    elsewhere: Tensor


class ClassMap(NamedTuple):
    """`ShareMaps` weighted by the prompt-level plan: one map for a class.

    Attributes:
        patches: `(O,)`.
        elsewhere: the share of the visual prompt tokens. Both sum to `sum_mn T[m, n] <Tt, S>`.
    """

    patches: Tensor
    elsewhere: float


def token_maps(plan: Tensor, mask: Tensor, patches: int) -> TokenMaps:
    """Map (a): for token `l`, its column `L * Tt[:, l]`.

    Args:
        plan: `(M, N, J, L)`, each `(J, L)` of mass 1, zero for padded tokens.
        mask: `(N, L)` bool, True where there is a token.
        patches: `O`.

    Raises:
        ValueError: fewer local outputs than patches.
    """
    _require_patches(plan, patches)
    columns = plan.mT / plan.sum(-2).unsqueeze(-1)  # (M, N, L, J)
    columns = columns.masked_fill(~mask[None, :, :, None], torch.nan)
    return TokenMaps(columns[..., :patches], columns[..., patches:].sum(-1))


def over_visual_modes(maps: TokenMaps, prompt_plan: Tensor) -> TokenMaps:
    """The maps of each textual mode's tokens, averaged over the visual modes with the weights
    `T[m, n] / sum_m T[m, n]`: `patches` is `(N, L, O)` and `elsewhere` `(N, L)`.

    Args:
        prompt_plan: `T`, `(M, N)`.
    """
    weights = prompt_plan / prompt_plan.sum(0)
    return TokenMaps(
        torch.einsum("mn,mnlo->nlo", weights, maps.patches),
        torch.einsum("mn,mnl->nl", weights, maps.elsewhere),
    )


def share_maps(plan: Tensor, similarity: Tensor, patches: int) -> ShareMaps:
    """Map (b): for a pair of modes, each patch's share in the similarity.

    Args:
        plan, similarity: `(M, N, J, L)`; the plan is zero for padded tokens.
        patches: `O`.

    Raises:
        ValueError: fewer local outputs than patches.
    """
    _require_patches(plan, patches)
    shares = (plan * similarity).sum(-1)  # (M, N, J)
    return ShareMaps(shares[..., :patches], shares[..., patches:].sum(-1))


def class_map(shares: ShareMaps, prompt_plan: Tensor) -> ClassMap:
    """Map (c): (b) weighted by `T[m, n]` and summed over the pairs.

    Args:
        prompt_plan: `T`, `(M, N)`.
    """
    patches = torch.einsum("mn,mno->o", prompt_plan, shares.patches)
    return ClassMap(patches, float((prompt_plan * shares.elsewhere).sum()))


def _require_patches(plan: Tensor, patches: int) -> None:
    if plan.shape[-2] < patches:
        raise ValueError(f"a plan over {plan.shape[-2]} local outputs has no {patches} patches")
