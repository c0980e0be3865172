"""The table of an ablation of plans: accuracies, what the plans say, and answers without them.

A row is one configuration. Its results have, as `plans`, the statistics that
`explain.statistics.PlanStatistics.as_json` describes. All of one data set.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate

from .grid import Grid
from .image_pairs import compare_images
from .protocol_tables import MAKERS
from .render import KINDS
from .tree import row_label

Result = Mapping[str, Any]
LEVELS = {"prompt": "prompt", "local": "token"}  # as statistics and as tables name them
REPLACED = ("independent", "all_independent")
MISSING, NOT_DEFINED, AFTERWARDS = "missing", "not defined", "*"
NOTES = (
    "accuracy in per cent, mean over {seeds} ± standard deviation (of the population); H is the "
    "harmonic mean of base and new of a seed",
    "- mean: difference to the row of alignment mean, head paper, with the same beta, or {usual} "
    "where a row has none; in points, with the 95% bootstrap interval over images and seeds",
    "entropy of a plan: 0 as sharp as its marginals allow, 1 the independent plan; distance: total "
    "variation to the independent plan; of the plans for the predicted class, mean ± standard "
    "deviation over all test images and seeds (at the token level of an image's mean over its "
    "pairs of modes)",
    "without the plan: the share of predictions that change when, in the trained model, the "
    "independent plan takes the place of the prompt-level one, and the accuracies then; without "
    "both: also in the place of the token-level ones",
    f"{AFTERWARDS} no logit is made of these token-level plans: they are solved for looking at, "
    "with epsilon 0.1",
    "not defined: the released program has no such alignment",
)


@dataclass(frozen=True)
class AblationRow:
    """One configuration.

    Attributes:
        label: the `method` of its results.
        beta: None where it does not apply.
        defined: whether there is such a method.
        against: the label of the row that it is compared with.
    """

    label: str
    alignment: str
    head: str
    beta: float | None
    defined: bool
    against: str


def ablation_records(
    rows: Sequence[AblationRow], results: Sequence[Result], protocol: str
) -> list[dict[str, Any]]:
    """All numbers of the table, a record a row; what there is no run of is missing in it.

    Raises:
        ValueError: results or `predictions.csv` that do not fit together (`compare_images`).
    """
    made = list(results)
    grid = MAKERS[protocol](made)
    without = {
        name: MAKERS[protocol]([_with_accuracy(r, name) for r in made if r["plans"][name]])
        for name in REPLACED
        if any(r["plans"][name] for r in made)
    }
    labels = {r["method"]: row_label(r) for r in made}
    records = []
    for row in rows:
        record = asdict(row)
        own = [r for r in made if r["method"] == row.label]
        if row.defined and own:
            name, other = labels[row.label], labels.get(row.against, "")
            record["accuracy"] = _accuracies(grid, name)
            if row.against != row.label:
                pair = (name, other)
                record["minus_mean"] = _differences(grid, protocol, made, pair) if other else {}
            record["plans"] = pooled_levels([r["plans"] for r in own])
            for replaced, cells in without.items():
                parts = [r["plans"] for r in own if r["plans"][replaced]]
                if parts:
                    changed = _weighted([(p["images"], p[replaced]["changed"]) for p in parts])
                    record[replaced] = {"changed": changed, "accuracy": _accuracies(cells, name)}
        records.append(record)
    return records


def _with_accuracy(result: Result, replaced: str) -> dict[str, Any]:
    return {**result, "accuracy": result["plans"][replaced]["accuracy"]}


def _accuracies(grid: Grid, name: str) -> dict[str, dict[str, Any]]:
    """By heading: mean, standard deviation, and the values of the seeds."""
    found = {}
    for column in grid.columns:
        cell = grid.cell(name, column)
        if cell.by_seed:
            by_seed = dict(cell.by_seed)
            found[column.heading] = {
                "mean": cell.mean,
                "std": cell.spread("std"),
                "by_seed": by_seed,
            }
    return found


def _differences(
    grid: Grid, protocol: str, results: Sequence[Result], names: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    found, _ = compare_images(grid, protocol, results, names)
    kept = ("difference", "low", "high", "images", "seeds")
    return {c.metric: {key: getattr(c, key) for key in kept} for c in found}


def pooled_levels(parts: Sequence[Result]) -> dict[str, Any]:
    """Means and standard deviations over the images of several sets, from those of each."""
    found: dict[str, Any] = {}
    for level in LEVELS:
        own = [(p["images"], p["levels"][level]) for p in parts if level in p["levels"]]
        if own:
            found[level] = {
                kind: {
                    which: _pooled([(n, each[kind][which]) for n, each in own])
                    for which in ("predicted", "true")
                }
                for kind in ("entropy", "distance")
            }
            found[level]["afterwards"] = own[0][1]["afterwards"]
    return found


def _pooled(parts: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    mean = _weighted([(n, part["mean"]) for n, part in parts])
    apart = [(n, part["spread"] ** 2 + (part["mean"] - mean) ** 2) for n, part in parts]
    return {"mean": mean, "spread": math.sqrt(_weighted(apart))}


def _weighted(parts: Sequence[tuple[int, float]]) -> float:
    return sum(n * value for n, value in parts) / sum(n for n, _ in parts)


def render_ablation(records: Sequence[Mapping[str, Any]], style: str) -> str:
    """The table as `table`, `markdown`, `csv` or `json`."""
    if style == "json":
        return json.dumps({"notes": _notes(records), "rows": records}, indent=2)
    if style == "csv":
        return _csv(records)
    columns = list(dict.fromkeys(h for record in records for h in record.get("accuracy", {})))
    headers = ["alignment", "head", "beta", *columns, *(f"{h} - mean" for h in columns)]
    headers += [f"{name} {kind}" for name in LEVELS.values() for kind in ("entropy", "distance")]
    own = " / ".join(columns)
    for without in ("without the plan", "without both"):
        headers += [f"{without}: changed %", f"{without}: {own}"]
    rows = [_row(record, columns) for record in records]
    text = tabulate(rows, headers, tablefmt=KINDS[style], disable_numparse=True)
    return "\n".join([text, "", *(f"{note}." for note in _notes(records))])


def _notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = [len(a["by_seed"]) for r in records for a in r.get("accuracy", {}).values()]
    least, most = (min(counts), max(counts)) if counts else (0, 0)
    seeds = f"{most} seed{'s' if most > 1 else ''}"
    seeds = seeds if least == most else f"{least} to {seeds}"
    usual = next((r["against"] for r in records if r["beta"] is None), "")
    filled = {"seeds": seeds, "usual": usual.rpartition(", ")[2]}
    return [note.format(**filled) for note in NOTES]


def _row(record: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    beta = "" if record["beta"] is None else f"{record['beta']:g}"
    start = [record["alignment"], record["head"], beta]
    if "accuracy" not in record:
        return [*start, MISSING if record["defined"] else NOT_DEFINED]
    return [*start, *_cells(record, columns)]


def _cells(record: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    accuracy = record["accuracy"]
    for heading in columns:
        found = accuracy.get(heading)
        yield f"{found['mean']:.2f} ± {found['std']:.2f}" if found else MISSING
    for heading in columns:
        found = record.get("minus_mean", {}).get(heading)
        yield _interval(found) if found else ""
    for level in LEVELS:
        found = record["plans"].get(level)
        mark = AFTERWARDS if found and found["afterwards"] else ""
        for kind in ("entropy", "distance"):
            value = found[kind]["predicted"] if found else None
            yield f"{value['mean']:.4f} ± {value['spread']:.4f}{mark}" if value else ""
    for replaced in REPLACED:
        found = record.get(replaced)
        yield f"{found['changed']:.2f}" if found else ""
        means = [found["accuracy"].get(h) for h in columns] if found else []
        yield " / ".join(f"{m['mean']:.2f}" if m else MISSING for m in means)


def _interval(found: Mapping[str, Any]) -> str:
    # Adding zero takes the sign of what is rounded to zero.
    middle, low, high = (round(found[key], 2) + 0.0 for key in ("difference", "low", "high"))
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]"


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    """One line a row of the table, one column a number; without the values of single seeds."""
    lines = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue().rstrip("\n")


def _flat(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and key != "by_seed":
            yield from _flat(value, f"{name} ")
        elif not isinstance(value, Mapping | list | tuple):
            yield name, value
