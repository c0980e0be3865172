"""The page of an explanation: one file, with its pictures in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..results.report.page import inline_image, render

PAGE = "explain.html"
TEMPLATE = Path(__file__).with_name("templates") / "explanation.html"
SHOWN_PROMPTS = 24  # of more, the page shows the first, and the JSON file has all
WHICH = {"predicted": "the predicted class", "true": "the true class"}


def write_page(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write the page beside the pictures.

    Args:
        content: of `explain.json`.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    html = render(
        TEMPLATE,
        title=f"{content['method']}, explained",
        content=content,
        facts=_facts(content),
        words=_words(content["words"]),
        diversity=_diversity(content["diversity"]),
        statistics=_statistics(content["statistics"]),
        independent=_independent(content["statistics"]),
        picture_of=lambda name: inline_image((folder / name).read_bytes()),
    )
    return write_whole(folder / PAGE, lambda stream: stream.write(html))


def _facts(content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    run = content["run"]
    pairs = [
        ("data set", " ".join(str(v) for v in (run["dataset"], run["subset"]) if v)),
        ("shots", run["shots"]),
        ("seed", run["seed"]),
        ("epoch", run["epoch"]),
        ("backbone", run["backbone"]),
        (f"accuracy on the {run['split']} images", f"{run['accuracy']:.2f} %"),
        ("regularisers", ", ".join(run["regularisers"] or ())),
    ]
    return [(name, value) for name, value in pairs if value not in ("", None)]


def _words(words: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if words is None:
        return None
    rows = [
        [f"{name}, token {i}", *(f"{w['text']} ({w['distance']:.3f})" for w in near)]
        for name, tokens in list(words["prompts"].items())[:SHOWN_PROMPTS]
        for i, near in enumerate(tokens, start=1)
    ]
    longest = max(len(row) for row in rows)
    return {
        "columns": ["learned token", *("nearest" if i == 1 else i for i in range(1, longest))],
        "rows": rows,
        "scale": f"{words['scale']['mean']:.3f}",
        "hidden": len(words["prompts"]) - SHOWN_PROMPTS,
    }


def _diversity(found: Mapping[str, Any] | None) -> list[list[str]] | None:
    if found is None:
        return None
    sides = {"text": ("prompt features", "classes"), "image": ("image features", "images")}
    rows = []
    for side, (what, of) in sides.items():
        before, after = found["before"][side], found["after"][side]
        if after is not None:
            modes = f"{len(after['matrix'])} {what}, mean over {after['over']} {of}"
            cosines = (before["mean"], after["mean"], after["least"], after["most"])
            rows.append([modes, *(f"{cosine:.5f}" for cosine in cosines)])
    return rows


def _statistics(found: Mapping[str, Any] | None) -> list[list[str]] | None:
    if found is None:
        return None
    names = {"prompt": "between modes", "local": "between patches and tokens"}
    if "prompt" not in found["levels"]:
        names["local"] = "between patches and prompts"
    return [
        [
            f"{names[level]}, {which}{' (solved afterwards)' if of['afterwards'] else ''}",
            *(_pair(of[kind][key]) for kind in ("entropy", "distance")),
        ]
        for level, of in found["levels"].items()
        for key, which in WHICH.items()
    ]


def _pair(summary: Mapping[str, float]) -> str:
    return f"{summary['mean']:.5f} ± {summary['spread']:.5f}"


def _independent(found: Mapping[str, Any] | None) -> list[list[str]]:
    if found is None:
        return []
    rows = [["the solved plans", f"{found['accuracy']:.2f} %", "-"]]
    names = {
        "independent": "independent plan between the modes",
        "all_independent": "independent plans at both levels",
    }
    if "prompt" not in found["levels"]:
        names["independent"] = "independent plan"
    for key, name in names.items():
        if found[key] is not None:
            of = found[key]
            rows.append([name, f"{of['accuracy']:.2f} %", f"{of['changed']:.2f} %"])
    return rows
