"""A chart for a paper, from a folder of results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import Parser
from ..results.charts.comparison import bars, curves
from ..results.charts.cost import COSTS, cost
from ..results.charts.style import Chart
from ..results.charts.svg import require_ending, save, unknown_letters
from ..results.extras import require_extras
from ..results.fields import AVERAGE
from ..results.grid import Grid
from ..results.measures import with_measures
from .compare import add_choices, chosen

# Kinds of charts, and the protocols that have them; the first is taken if none is named.
KINDS = {
    "curves": ("fewshot",),
    "bars": ("base2new",),
    "cost": ("base2new", "fewshot", "cross_dataset", "domain"),
}


def main(arguments: Sequence[str]) -> None:
    """Write the chart, and print what it shows and where it is."""
    parser = Parser(prog="multimode-ot plot", description=(__doc__ or "").splitlines()[0])
    add_choices(parser, protocol=None)
    add = parser.add_argument
    add("--kind", choices=KINDS, required=True)
    add("--out", type=Path, required=True, help="file to write: .svg, .png or .pdf")
    add("--against", choices=COSTS, default="seconds", help="what a chart of cost has below")
    args = parser.parse_args(arguments)
    require_ending(args.out)
    require_extras("a chart", "matplotlib")
    args.protocol = args.protocol or KINDS[args.kind][0]
    if args.protocol not in KINDS[args.kind]:
        raise ValueError(
            f"--kind {args.kind} has no chart of --protocol {args.protocol}, only of "
            f"{', '.join(KINDS[args.kind])}"
        )
    results, grid = chosen(args)
    grid = with_measures(grid, args.protocol, results, list(COSTS))
    chart = _chart(grid, args.kind, args.against, args.interval)
    if unknown := unknown_letters(chart):
        print(f"warning: Matplotlib's font lacks {unknown}: boxes are drawn", file=sys.stderr)
    print(f"{save(chart, args.out)}: {chart.title}")


def _chart(grid: Grid, kind: str, against: str, interval: str) -> Chart:
    """Of the average over data sets, or of the only one."""
    datasets = [column.dataset for column in grid.columns]
    dataset = AVERAGE if AVERAGE in datasets else datasets[-1]
    if kind == "cost":
        return cost(grid, dataset, against, interval)
    return (bars if kind == "bars" else curves)(grid, dataset, interval)
