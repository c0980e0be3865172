"""The hierarchical head: token-level transport feeds and steers a prompt-level transport.

Axes: `B` images, `K` classes, `M` visual and `N` textual prompts (modes), `J` local outputs of an
image, `L` tokens of a prompt (padded), `d` joint width.

Reference: Wang et al., "Tuning Multi-mode Token-level Prompt Alignment across Modalities",
NeurIPS 2023 (arXiv 2309.13847), section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import wraps
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from . import checks
from .sinkhorn import Sinkhorn
from .token_level import LARGEST_COST, TokenTransport, Transport, token_transport, vouched

Alignment = Literal["hierarchical", "prompt", "token", "mean"]


class Features(NamedTuple):
    """L2-normalised outputs of one side, `X` images or classes with `M` modes each.

    Attributes:
        pooled: `(X, M, d)`, one vector a mode.
        tokens: `(X, M, J, d)` local outputs; those that are masked may hold anything.
        mask: `(X, M, J)` bool, True where there is a token; None if all are there.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None


@dataclass(frozen=True)
class HierarchicalResult:
    """What the head made of `B` images and `K` classes.

    Attributes:
        similarity: `(B, K)`, what the logit scale multiplies.
        cost: `(B, K, M, N)`, the prompt-level cost.
        plan: `(B, K, M, N)`, the prompt-level plan.
        unconverged: Sinkhorn problems that hit the iteration cap, an int64 scalar.
    """

    similarity: Tensor
    cost: Tensor
    plan: Tensor
    unconverged: Tensor


def _on_sound_features(head):
    """Run a head outside autocast, on features in full precision, checked where nobody vouches."""

    @wraps(head)
    def run(self, image: Features, text: Features) -> HierarchicalResult:
        with torch.autocast(image.pooled.device.type, enabled=False):
            image, text = full_precision(image), full_precision(text)
            if not self.vouched:
                _check(image, text, self.needs_tokens)
            return head(self, image, text)

    return run


@dataclass(frozen=True)
class HierarchicalTransport:
    """The head of the paper: `similarity = 1 - <T, C>`.

    `C[m, n] = 1 - <z_m, h_n> + beta * dt[m, n]`, where `dt` is the token-level transport distance
    for the cost `1 - <u_mj, v_nl>`; all marginals are uniform.

    Args:
        transport: solves both levels; a Sinkhorn is told how large beta makes the costs.
        beta: weight of the token-level distance.
        alignment: `hierarchical`; `prompt` (`C` without `dt`); `token` (`C = dt`); `mean` (the
            uniform prompt-level plan instead of the solved one).
        cost_bytes: memory for token-level costs held at once (`token_transport`).
        vouched: the caller makes sure that features are finite and normalised, so a call looks at
            no value, and stalls no accelerator.

    Raises:
        ValueError: a beta or an alignment outside its range; in a call features that are not
            finite and normalised, or do not fit each other, where nobody vouches.
    """

    transport: Transport = field(default_factory=Sinkhorn)
    beta: float = 1.0
    alignment: Alignment = "hierarchical"
    cost_bytes: int | None = None
    vouched: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.beta):
            raise ValueError(f"beta {self.beta} must be finite")
        if self.alignment not in get_args(Alignment):
            raise ValueError(
                f"alignment {self.alignment!r} must be one of {', '.join(get_args(Alignment))}"
            )

    @property
    def needs_tokens(self) -> bool:
        return self.alignment == "token" or (self.alignment != "prompt" and self.beta != 0)

    @property
    def token_level(self) -> Transport:
        """The solver of the token-level plans."""
        return vouched(self.transport)

    @property
    def _prompt_level(self) -> Transport:
        if not (self.vouched or self.transport.vouched):
            return self.transport
        return vouched(self.transport, 2 + 2 * abs(self.beta))

    @_on_sound_features
    def __call__(self, image: Features, text: Features) -> HierarchicalResult:
        """Features in any floating dtype; the result is float32, or float64 for float64."""
        cost = 1 - pooled_similarity(image, text)
        unconverged = torch.zeros((), dtype=torch.long, device=cost.device)
        if self.needs_tokens:
            tokens = _token_level(image, text, self.token_level, self.cost_bytes)
            distance = (tokens.mass - tokens.similarity).transpose(1, 2)  # (B, K, M, N)
            cost = distance if self.alignment == "token" else cost + self.beta * distance
            unconverged = tokens.unconverged
        if self.alignment == "mean":
            plan = torch.full_like(cost, 1 / cost[0, 0].numel())
            return HierarchicalResult(1 - cost.mean((-2, -1)), cost, plan, unconverged)
        solved = self._prompt_level(cost, *_uniform(cost))
        unconverged = unconverged + _unconverged(solved, cost)
        return HierarchicalResult(1 - solved.transport_cost, cost, solved.plan, unconverged)


@dataclass(frozen=True)
class ReleasedTransport:
    """The head of the authors' released program, which the published numbers come from.

    It adds the token-level *similarity* to the prompt-level cost, and uses it for the plan `T`
    alone: `similarity = <T, <z_m, h_n>>`, so no gradient reaches a token. Sinkhorn stops on the
    mean change of the row scaling: at the token level for each (image, class), at the prompt level
    over the whole batch, so a logit depends slightly on who shares the batch.

    Args:
        epsilon, max_iterations, tolerance: of both levels' Sinkhorn.
        hierarchical: False leaves out the token level.
        cost_bytes: memory for token-level costs held at once (`token_transport`).
        vouched: as in `HierarchicalTransport`.

    Raises:
        ValueError: an argument outside its range; in a call as `HierarchicalTransport`.
    """

    epsilon: float = 0.1
    max_iterations: int = 100
    tolerance: float = 1e-2
    hierarchical: bool = True
    cost_bytes: int | None = None
    vouched: bool = False

    def __post_init__(self) -> None:
        self._solver()

    @property
    def needs_tokens(self) -> bool:
        return self.hierarchical

    @property
    def token_level(self) -> Sinkhorn:
        """The solver of the token-level plans: it stops for each image and class."""
        return self._solver(groups=(0, 2))

    def _solver(self, groups: tuple[int, ...] = ()) -> Sinkhorn:
        return Sinkhorn(
            self.epsilon,
            self.max_iterations,
            self.tolerance,
            rule="scaling",
            groups=groups,
            kernel_if_nan=True,
            largest_cost=LARGEST_COST,
        )

    @_on_sound_features
    def __call__(self, image: Features, text: Features) -> HierarchicalResult:
        """Features in any floating dtype; the result is float32, or float64 for float64."""
        similarity = pooled_similarity(image, text)
        cost = 1 - similarity.detach()
        unconverged = torch.zeros((), dtype=torch.long, device=cost.device)
        if self.hierarchical:
            with torch.no_grad():
                tokens = _token_level(image, text, self.token_level, self.cost_bytes)
            cost = cost + tokens.similarity.transpose(1, 2)
            unconverged = tokens.unconverged
        solved = self._solver()(cost, *_uniform(cost))
        unconverged = unconverged + _unconverged(solved, cost)
        total = (solved.plan * similarity).sum((-2, -1))
        return HierarchicalResult(total, cost, solved.plan, unconverged)


Head = HierarchicalTransport | ReleasedTransport


def hierarchical_logits(
    image: Features, text: Features, scale: Tensor | float, head: Head | None = None
) -> Tensor:
    """`scale * similarity`, `(B, K)` class logits.

    Args:
        image: features of `B` images with `M` modes.
        text: features of `K` classes with `N` modes.
        scale: CLIP's `exp(logit_scale)`.
        head: the paper's by default.

    Raises:
        ValueError: tokens that the head needs are missing. Where nobody vouches also features that
            are not finite and normalised, or do not fit each other, and a scale that is not finite.
    """
    head = head or HierarchicalTransport()
    if not head.vouched:
        checks.finite_range("scale", torch.as_tensor(scale))
    return scale * head(image, text).similarity


def _check(image: Features, text: Features, needs_tokens: bool) -> None:
    for side, (pooled, tokens, mask) in (("image", image), ("text", text)):
        if needs_tokens and tokens is None:
            raise ValueError(f"{side}.tokens is None: token-level alignment needs the tokens")
        checks.features(side, pooled, tokens if needs_tokens else None, mask)
    if image.pooled.shape[-1] != text.pooled.shape[-1]:
        raise ValueError(
            f"image has features of width {image.pooled.shape[-1]} and text of width "
            f"{text.pooled.shape[-1]}: they must agree"
        )


def full_precision(features: Features) -> Features:
    def cast(t: Tensor) -> Tensor:
        return t.float() if t.dtype.itemsize == 2 else t

    tokens = None if features.tokens is None else cast(features.tokens)
    return Features(cast(features.pooled), tokens, features.mask)


def pooled_similarity(image: Features, text: Features) -> Tensor:
    """`<z_bm, h_kn>` as `(B, K, M, N)`."""
    products = image.pooled.flatten(0, 1) @ text.pooled.flatten(0, 1).T
    return products.view(*image.pooled.shape[:2], *text.pooled.shape[:2]).transpose(1, 2)


def _token_level(
    image: Features, text: Features, transport: Transport, cost_bytes: int | None
) -> TokenTransport:
    if image.tokens is None or text.tokens is None:
        raise ValueError("token-level alignment needs the tokens of both sides")
    u, a = measure(image.tokens, image.mask)
    v, b = measure(text.tokens, text.mask)
    return token_transport(u, v, a, b, transport, cost_bytes)


def measure(tokens: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens, zeroed where masked, and their uniform masses."""
    if mask is None:
        return tokens, tokens.new_full(tokens.shape[:-1], 1 / tokens.shape[-2])
    present = mask.to(tokens.dtype)
    return tokens.masked_fill(~mask.unsqueeze(-1), 0), present / present.sum(-1, keepdim=True)


def _uniform(cost: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = cost.shape[-2:]
    return cost.new_full((1, rows), 1 / rows), cost.new_full((1, columns), 1 / columns)


def _unconverged(solved, cost: Tensor) -> Tensor | int:
    if not hasattr(solved, "converged"):
        return 0
    return (~solved.converged).expand(cost.shape[:-2]).sum()
