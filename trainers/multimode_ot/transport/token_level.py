"""Token-level transport between all pairs of (image, mode) and (class, mode).

Axes: `B` images, `M` visual modes, `J` local outputs, `K` classes, `N` textual modes, `L` tokens,
`d` joint width. Problems are laid out as `(B, M, K, N)`, their matrices as `(L, J)` in memory:
one matrix product makes that layout, and the long axis `J` stays contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from .checks import unit_masses, unit_vectors
from .sinkhorn import Scaling, Sinkhorn
from .variants import ConditionalTransport, ExactTransport

Transport = Sinkhorn | ConditionalTransport | ExactTransport
CLASS_AXIS = 2
# Of cosine distances, on two levels: what Sinkhorn's form is chosen by where they are vouched for.
LARGEST_COST = 4.0
# A CPU's allocator gives larger blocks back to the system whenever they are free, and touching new
# ones takes longer than the arithmetic. An accelerator wants few and large operations.
COST_BYTES_ON_CPU, COST_BYTES = 8 * 2**20, 64 * 2**20


class TokenTransport(NamedTuple):
    """Attributes:
    similarity: `(B, M, K, N)`, `<T, S>` for the plan `T` and the cosine similarities `S`.
    mass: `(B, M, K, N)`, `sum T`, so that the distance `<T, 1 - S>` is `mass - similarity`.
    unconverged: problems that hit the iteration cap, an int64 scalar.
    """

    similarity: Tensor
    mass: Tensor
    unconverged: Tensor


def vouched(transport: Transport, largest_cost: float = LARGEST_COST) -> Transport:
    """The transport for costs known to lie between 0 and `largest_cost`: it looks at no value."""
    if isinstance(transport, Sinkhorn):
        bound = max(transport.largest_cost or LARGEST_COST, largest_cost)
        return replace(transport, largest_cost=bound)
    return replace(transport, vouched=True)


def token_transport(
    u: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    transport: Transport,
    cost_bytes: int | None = None,
) -> TokenTransport:
    """Solve the `B * M * K * N` token-level problems of cost `1 - <u_bmj, v_knl>`.

    Args:
        u: `(B, M, J, d)` and v: `(K, N, L, d)`, normalised, zero where padded.
        a: `(B, M, J)` and b: `(K, N, L)`, marginals that sum to 1, zero where padded.
        transport: Sinkhorn's stopping rule spans all problems, however they are chunked. Where it
            is vouched for, nothing looks at the values of the arguments.
        cost_bytes: classes are processed in chunks whose costs take at most this (by default what
            suits the device); all at once where a stopping rule that spans them cannot be told
            chunk by chunk. No result depends on it.

    Gradients reach `u` and `v` with the plans held constant, and only each problem's scalings are
    kept for the backward pass; it makes the costs again.

    Raises:
        ValueError: vectors that are not finite and normalised, or masses that are negative or do
            not sum to 1, where nobody vouches.
    """
    transport = _checked(u, v, a, b, transport)
    step = _classes_at_once(u, v, transport, cost_bytes)
    if isinstance(transport, Sinkhorn) and not transport.unrolled:
        return TokenTransport(*_SinkhornTokens.apply(u, v, a, b, transport, step))
    parts = []
    for s in _chunks(len(v), step):
        args = (u, v[s], a, b[s], transport)
        recompute = torch.is_grad_enabled() and step < len(v)
        parts.append(
            checkpoint(_differentiable, *args, use_reentrant=False)
            if recompute
            else _differentiable(*args)
        )
    similarity, mass, unconverged = zip(*parts, strict=True)
    return TokenTransport(torch.cat(similarity, 2), torch.cat(mass, 2), sum(unconverged))


class PairPlans(NamedTuple):
    """Token-level plans of `P` pairs of an image and a class.

    Attributes:
        plan: `(P, M, N, J, L)`, zero where padded; of mass 1, of conditional transport 2.
        similarity: `(P, M, N, J, L)`, the cosines `<u_mj, v_nl>`; zero where padded.
        a: `(P, M, J)` and b: `(P, N, L)`, the marginals of each problem.
    """

    plan: Tensor
    similarity: Tensor
    a: Tensor
    b: Tensor


@torch.no_grad()
def token_plans(
    u: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    transport: Transport,
    images: Tensor,
    classes: Tensor,
    cost_bytes: int | None = None,
) -> PairPlans:
    """The plans that `token_transport` finds with these arguments, of some pairs of them.

    All problems are solved, since a stopping rule may span them, but only the plans of the pairs
    are held.

    Args:
        images, classes: `(P,)` indices, of `u` and of `v`.

    Raises:
        ValueError: as of `token_transport`.
    """
    transport = _checked(u, v, a, b, transport)
    rows, columns = a[images], b[classes]  # (P, M, J), (P, N, L)
    similarity = torch.einsum("pmjd,pnld->pmnjl", u[images], v[classes])
    if not isinstance(transport, Sinkhorn) or transport.unrolled:
        plan = transport(1 - similarity, rows[:, :, None], columns[:, None]).plan
        return PairPlans(plan, similarity, rows, columns)
    chunks = list(_chunks(len(v), _classes_at_once(u, v, transport, cost_bytes)))
    plan = torch.empty_like(similarity)
    for s, part in zip(chunks, _solve_chunks(u, v, a, b, transport, chunks), strict=True):
        here = ((classes >= s.start) & (classes < s.stop)).nonzero().squeeze(1)
        problems = images[here], slice(None), classes[here] - s.start
        kernel = transport.kernel(1 - similarity[here])
        scaling = (part.scaling.u[problems], part.scaling.v[problems])  # (P, M, N, J or L)
        plan[here] = kernel.plan(*scaling).to(plan.dtype)
    return PairPlans(plan, similarity, rows, columns)


def _checked(u: Tensor, v: Tensor, a: Tensor, b: Tensor, transport: Transport) -> Transport:
    """The transport, vouched for: by whoever calls, or because the arguments are looked at."""
    if transport.vouched:
        return transport
    for name, vectors in (("u", u), ("v", v)):
        unit_vectors(name, vectors)
    for name, masses in (("a", a), ("b", b)):
        unit_masses(name, masses)
    return vouched(transport)


def _classes_at_once(u: Tensor, v: Tensor, transport: Transport, cost_bytes: int | None) -> int:
    if cost_bytes is None:
        cost_bytes = COST_BYTES_ON_CPU if u.device.type == "cpu" else COST_BYTES
    per_class = u[:, :, :, 0].numel() * v[0, :, :, 0].numel() * u.element_size()
    step = max(1, cost_bytes // per_class)
    if isinstance(transport, Sinkhorn) and _spans_classes(transport):
        # The largest violation of all is that of some chunk; a mean change is of no chunk.
        step = len(v) if transport.unrolled or transport.rule == "scaling" else step
    return step


def _differentiable(u: Tensor, v: Tensor, a: Tensor, b: Tensor, transport: Transport):
    similarity = _similarities(u, v).mT  # (B, M, K, N, J, L)
    solved = transport(1 - similarity, a[:, :, None, None], b[None, None])
    unconverged = ~getattr(solved, "converged", torch.ones((), dtype=torch.bool))
    count = unconverged.expand(similarity.shape[:-2]).sum().to(u.device)
    return (solved.plan * similarity).sum((-2, -1)), solved.plan.sum((-2, -1)), count


class _SinkhornTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, v, a, b, solver: Sinkhorn, step: int):
        chunks = list(_chunks(len(v), step))
        solved = _solve_chunks(u, v, a, b, solver, chunks)
        converged = [part.scaling.converged for part in solved]
        if _spans_classes(solver):
            converged = [torch.stack(converged).all(0)] * len(chunks)
        problems = [(*u.shape[:2], *v[s].shape[:2]) for s in chunks]
        capped = [(~c).expand(shape).sum() for c, shape in zip(converged, problems, strict=True)]
        ctx.save_for_backward(u, v, *(t for part in solved for t in part.scaling[:2]))
        ctx.chunks, ctx.solver = chunks, solver
        outcome = (
            torch.cat([part.similarity for part in solved], 2),
            torch.cat([part.mass for part in solved], 2),
            torch.stack(capped).sum(),
        )
        ctx.mark_non_differentiable(*outcome[1:])
        return outcome

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, *_):
        u, v, *scalings = ctx.saved_tensors
        modes, flat_u = u.shape[:2], u.flatten(0, 1)  # (B * M, J, d)
        grad_u = torch.zeros_like(flat_u) if ctx.needs_input_grad[0] else None
        grad_v = []
        for i, s in enumerate(ctx.chunks):
            cost = _similarities(u, v[s]).neg_().add_(1).mT
            kernel = ctx.solver.kernel(cost, overwrite=True)
            plan = kernel.plan(*scalings[2 * i : 2 * i + 2]).to(u.dtype).mT  # (B, M, K, N, L, J)
            pull = plan.mul_(grad[:, :, s, :, None, None]).flatten(2, 4).flatten(0, 1)
            flat_v = v[s].flatten(0, 2)  # (K * N * L, d); pull is (B * M, K * N * L, J)
            if grad_u is not None:
                grad_u.baddbmm_(pull.mT, flat_v.expand(len(pull), -1, -1))
            if ctx.needs_input_grad[1]:
                total = torch.zeros_like(flat_v)
                for weights, tokens in zip(pull, flat_u, strict=True):
                    total.addmm_(weights, tokens)
                grad_v.append(total.view_as(v[s]))
        return (
            grad_u if grad_u is None else grad_u.unflatten(0, modes),
            torch.cat(grad_v) if grad_v else None,
            *(None,) * 4,
        )


def _spans_classes(solver: Sinkhorn) -> bool:
    """Whether one stopping rule spans the chunks of classes."""
    return CLASS_AXIS not in solver.groups


def _solve_chunks(
    u: Tensor, v: Tensor, a: Tensor, b: Tensor, solver: Sinkhorn, chunks: Sequence[slice]
) -> list[_Solved]:
    solved = [_solve(u, v[s], a, b[s], solver) for s in chunks]
    if len(chunks) > 1 and _spans_classes(solver):
        # One stopping rule spans the chunks: whoever stopped early catches up.
        last = torch.stack([part.scaling.iterations for part in solved]).amax(0)
        longer = replace(solver, min_iterations=last)
        for i, s in enumerate(chunks):
            on_host = last.device.type == "cpu"
            if not (on_host and torch.equal(solved[i].scaling.iterations, last)):
                solved[i] = _solve(u, v[s], a, b[s], longer, solved[i].scaling)
    return solved


class _Solved(NamedTuple):
    similarity: Tensor
    mass: Tensor
    scaling: Scaling


def _solve(
    u: Tensor, v: Tensor, a: Tensor, b: Tensor, solver: Sinkhorn, start: Scaling | None = None
) -> _Solved:
    similarity = _similarities(u, v)
    kernel = solver.kernel((1 - similarity).mT, overwrite=True)
    problems = (*u.shape[:2], *v.shape[:2])
    scaling = solver.scale(
        kernel,
        a[:, :, None, None].expand(*problems, -1),
        b[None, None].expand(*problems, -1),
        start,
    )
    plan = kernel.plan(scaling.u, scaling.v).to(u.dtype).mT
    mass = plan.sum((-2, -1))
    return _Solved(plan.mul_(similarity).sum((-2, -1)), mass, scaling)


def _similarities(u: Tensor, v: Tensor) -> Tensor:
    """`<u_bmj, v_knl>` as `(B, M, K, N, L, J)`."""
    flat_u, flat_v = u.flatten(0, 1), v.flatten(0, 2)
    products = flat_v.expand(len(flat_u), -1, -1) @ flat_u.mT  # (B * M, K * N * L, J)
    return products.view(*u.shape[:2], *v.shape[:3], u.shape[2])


def _chunks(total: int, step: int) -> Iterator[slice]:
    return (slice(i, i + step) for i in range(0, total, step))
