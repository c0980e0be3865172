"""What follows a table: verdicts on published numbers, and two methods compared run by run and
image by image."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from .grid import Grid, PairedDifference
from .image_pairs import ImageComparison
from .render import KINDS, below, csv_names, csv_text, plain, records
from .verdict import TOLERANCE, Verdict

_OF_VERDICTS = ["published_row", "published", "difference", "low", "high", "verdict"]
_RULE = (
    "verdicts: agrees, if the published mean lies in the 95% interval of the difference that the "
    "spread of our seeds implies (Student's t, both means scattering alike), else differs; what "
    f"trains nothing agrees within {TOLERANCE} points; one verdict in twenty differs by chance"
)


def with_verdicts(
    text: str, style: str, interval: str, grid: Grid, found: Sequence[Verdict]
) -> str:
    """A rendered grid with verdicts: behind the table; in JSON as `verdicts`; in CSV as further
    lines, which alone have something in the column `verdict`, and ours as the mean."""
    listed = [asdict(v) for v in found]
    if style == "json":
        return json.dumps(json.loads(text) | {"verdict_rule": _RULE, "verdicts": listed}, indent=2)
    if style == "csv":
        names = csv_names(grid, interval) + _OF_VERDICTS
        return csv_text(
            names, [*records(grid, interval), *({"mean": v["ours"]} | v for v in listed)]
        )
    if not found:
        return (
            f"{text}\n\n{below(['no verdict: no cell of the runs has a published number.'], style)}"
        )
    rows = [[plain(part, style) for part in row] for row in _verdict_rows(found)]
    headers = ["method", "published row", "cells", "ours - published", "95% interval", "verdict"]
    table = tabulate(rows, headers, tablefmt=KINDS[style], disable_numparse=True)
    if style == "latex":
        table = table.replace("95%", r"95\%")
    return f"{text}\n\n{table}\n\n{below([_RULE + '.'], style)}"


def _verdict_rows(found: Sequence[Verdict]) -> Iterator[list[str]]:
    """A row each, but one of all cells that cannot be compared for the same reason."""
    pairs: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for v in found:
        pairs[v.method, v.published_row].append(v)
    for pair, each in pairs.items():
        reasons: dict[str, list[str]] = defaultdict(list)
        for v in each:
            where = f"{v.dataset} {v.metric}"
            if v.difference is None:
                reasons[v.verdict].append(where)
                continue
            low_high = "" if v.low is None else f"[{v.low:+.2f}, {v.high:+.2f}]"
            yield [*pair, where, f"{v.difference:+.2f}", low_high, v.verdict]
        for reason, cells in reasons.items():
            many = len(cells) == len(each) > 1
            yield [*pair, f"all {len(cells)}" if many else ", ".join(cells), "", "", reason]


def with_differences(
    text: str,
    style: str,
    names: Sequence[str],
    runs: Sequence[PairedDifference],
    images: Sequence[ImageComparison],
    remark: str,
) -> str:
    """A rendered grid with the differences of two methods.

    Args:
        runs: over data sets and seeds.
        images: image by image.
        remark: what could not be compared image by image; may be empty.

    Raises:
        ValueError: the style is `csv`, which has no place for them.
    """
    first, second = names
    both = {"first": first, "second": second}
    if style == "csv":
        raise ValueError("--paired has no place in --format csv: take json")
    if style == "json":
        added: dict[str, Any] = {"paired": [both | d._asdict() for d in runs]}
        added["paired_images"] = [
            both | asdict(c) | {"tests": [t._asdict() for t in c.tests]} for c in images
        ]
        added["paired_images_remark"] = remark
        return json.dumps(json.loads(text) | added, indent=2)
    lines = [
        f"{first} - {second}, {d.metric}: {d.mean:+.2f} points, 95% bootstrap interval "
        f"[{d.low:+.2f}, {d.high:+.2f}], {d.pairs} pairs"
        for d in runs
    ]
    lines += [_image_line(first, second, c) for c in images]
    return f"{text}\n\n{below([*lines, remark] if remark else lines, style)}"


def _image_line(first: str, second: str, c: ImageComparison) -> str:
    seeds = f"{len(c.seeds)} seeds" if len(c.seeds) > 1 else "1 seed"
    line = (
        f"{first} - {second}, image by image, {c.dataset} {c.metric}: {c.difference:+.2f} points, "
        f"95% bootstrap interval [{c.low:+.2f}, {c.high:+.2f}] over {c.images} images and {seeds}"
    )
    tests = ", ".join(
        f"{t.only_first} : {t.only_second} (seed {t.seed}, p = {t.p:.2g})" for t in c.tests
    )
    return (
        f"{line}; only {first} right : only {second} right, exact McNemar: {tests}"
        if tests
        else line
    )
