"""A report on a folder of runs: tables, charts and every run, in one HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import Parser
from ..files import write_whole
from ..results.report.report import Report
from ..results.report.runs import Run
from .compare import trains


def _with_bar(runs: Sequence[Run]) -> Iterable[Run]:
    from tqdm import tqdm

    return tqdm(runs, "runs", leave=False, disable=None)


def main(arguments: Sequence[str]) -> None:
    """Write the page, and print where it is."""
    parser = Parser(prog="multimode-ot report", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("output", type=Path, help="folder of runs; a narrower one restricts the report")
    add("--out", type=Path, default=Path("report.html"), help="file to write (report.html)")
    add("--root", type=Path, help="folder of the data sets, if it is not where runs had it")
    add("--interval", choices=["std", "ci95"], default="std")
    add("--mix", action="store_true", help="allow different configurations in one table")
    args = parser.parse_args(arguments)
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {args.out}: a report is an .html file")
    if args.root and not args.root.is_dir():
        raise NotADirectoryError(f"--root {args.root} is no folder of data sets")
    page = Report(args.output, trains, args.root, args.mix, args.interval, _with_bar).html()
    write_whole(args.out, lambda stream: stream.write(page))
    print(f"Report written to {args.out} ({args.out.stat().st_size / 1e6:.1f} MB)")
