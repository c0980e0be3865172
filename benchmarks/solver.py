"""Sinkhorn alone, ours against POT's `ot.batch.solve_batch`, at equal marginal error.

    python benchmarks/solver.py

3,200 problems of the size that 50 classes make (batch 4, four modes on either side): 198 x 8, and
198 x 16 with 4 to 16 columns of mass. All start from scalings of one and alternate in the same
order, so the same number of iterations is the same error: ours stops at a row-marginal violation of
0.001, and POT is told to stop there too (left to itself, it looks at every tenth iteration only).
Peak memory is that of one call in a process of its own, the costs not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable

import ot.batch
import torch
from measure import in_subprocess, peak_bytes, seconds
from multimode_ot.transport import Sinkhorn
from torch import Tensor

EPSILON, TOLERANCE, PROBLEMS, ROWS = 0.1, 1e-3, 3200, 198
OURS = Sinkhorn(EPSILON, tolerance=TOLERANCE, largest_cost=4.0)  # vouched for, as in the models
METHODS = ("ours", "sinkhorn", "log_sinkhorn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--memory-probe", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--columns", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--iterations", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_probe:
        run, _ = prepare(args.columns, args.iterations)[args.memory_probe]
        print(json.dumps({"bytes": peak_bytes(run)}))
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, POT {ot.__version__}")
    for columns in (8, 16):
        compare(columns, args.runs)


def compare(columns: int, runs: int) -> None:
    cost, a, b = problems(columns)
    iterations = int(OURS(cost, a, b).iterations.max())
    solvers = prepare(columns, iterations)
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for warm_up in [True] + [False] * runs:
        for name, (run, _) in solvers.items():
            elapsed = seconds(run)
            if not warm_up:
                times[name].append(elapsed)
    ragged = ", 4 to 16 with mass" if columns == 16 else ""
    print(f"\n{PROBLEMS} problems of {ROWS} x {columns}{ragged}:")
    ours = statistics.median(times["ours"])
    own_memory = 0
    for name, (_, error) in solvers.items():
        median = statistics.median(times[name])
        probe = ("--memory-probe", name, "--columns", columns, "--iterations", iterations)
        memory = in_subprocess(__file__, *probe)["bytes"]
        own_memory = own_memory or memory
        print(
            f"{name:13s} {median * 1e3:7.1f} ms ({median / ours:4.1f} x ours), peak memory "
            f"{memory / 2**20:4.0f} MiB ({memory / own_memory:3.1f} x), violation {error():.1e}"
        )


def prepare(
    columns: int, iterations: int
) -> dict[str, tuple[Callable[[], object], Callable[[], float]]]:
    """By method: a call that solves all problems, and one that tells the violation.

    `iterations` is how many ours does. Nothing is solved here: a peak of memory is measured
    afterwards, and would not see what an earlier solve left with the allocator.
    """
    cost, a, b = problems(columns)

    def by_pot(method: str) -> Tensor:
        solved = ot.batch.solve_batch(
            cost, EPSILON, a, b, max_iter=iterations, tol=0.0, method=method, grad="detach"
        )
        return solved.plan

    solvers: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: OURS(cost, a, b).plan,
        "sinkhorn": lambda: by_pot("sinkhorn"),
        "log_sinkhorn": lambda: by_pot("log_sinkhorn"),
    }
    return {
        name: (solve, lambda solve=solve: float((solve().sum(-1) - a).abs().sum(-1).max()))
        for name, solve in solvers.items()
    }


def problems(columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Costs `(P, J, L)` between random unit vectors of 16 dimensions, whose cosines spread like
    those of CLIP's tokens (deviation 0.25), and uniform marginals `(P, J)`, `(P, L)`."""
    generator = torch.Generator().manual_seed(0)
    u, v = (
        torch.nn.functional.normalize(torch.randn(PROBLEMS, n, 16, generator=generator), dim=-1)
        for n in (ROWS, columns)
    )
    smallest = 4 if columns == 16 else columns
    lengths = torch.randint(smallest, columns + 1, (PROBLEMS, 1), generator=generator)
    b = (torch.arange(columns) < lengths) / lengths
    return 1 - u @ v.mT, torch.full((PROBLEMS, ROWS), 1 / ROWS), b


if __name__ == "__main__":
    main()
