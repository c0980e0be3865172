"""Charts of one run: what it learned by, and how sure it is beside how right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..calibration import Bin
from ..log import Epochs
from .style import (
    COLOURS,
    INK,
    LINES,
    MARKERS,
    MUTED,
    PAPER,
    SERIES,
    Chart,
    drawing,
    horizontal_rules,
    new_figure,
    place,
    shown_name,
)

ROWS = 20  # of a table of epochs


def learning_curves(epochs: Epochs, name: str) -> Chart:
    """Each loss term and the accuracy on training batches, by epoch; means over its batches.

    Args:
        epochs: of one log, not empty.
        name: of the run.
    """
    losses = [term for term in epochs.terms if term != "acc"]
    has_accuracy = "acc" in epochs.terms
    alone = "o" if len(epochs.numbers) == 1 else ""  # one epoch is no line
    with drawing():
        lines = math.ceil(len(losses) / 2) if len(losses) > 1 else 0
        figure = new_figure(2.1 + 0.18 * lines)
        axes = place(
            figure, 0.5, 0.48 + 0.18 * lines, 0.12, 0.28,
            ncols=2 if has_accuracy else 1, squeeze=False,
        )[0]  # fmt: skip
        figure.subplots_adjust(wspace=0.32)
        for i, term in enumerate(losses):
            style = {"marker": alone, **_of_term(i, len(epochs.numbers))}
            axes[0].plot(*epochs.curve(term), label=shown_name(term, 30, 1), **style)
        axes[0].set_title("loss", loc="left")
        if has_accuracy:
            axes[1].plot(*epochs.curve("acc"), color=SERIES[0], marker=alone)
            axes[1].set_title("training accuracy, %", loc="left")
        for each in axes:
            each.set_xlabel("epoch")
            each.xaxis.get_major_locator().set_params(integer=True)
            horizontal_rules(each)
        if lines:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2)
    step = max(1, math.ceil(len(epochs.numbers) / ROWS))
    kept = [*epochs.numbers[::step]]
    kept += [n for n in epochs.numbers[-1:] if n not in kept]
    last = ", ".join(f"{term} {epochs.values[kept[-1]].get(term, math.nan):.4g}" for term in losses)
    return Chart(
        figure,
        f"{name}: learning curves, means over the batches of an epoch",
        f"Curves of {', '.join(epochs.terms)} over {len(epochs.numbers)} epochs; at the end {last}",
        ["epoch", *epochs.terms],
        [
            [str(n), *(f"{epochs.values[n].get(t, math.nan):.4f}" for t in epochs.terms)]
            for n in kept
        ],
    )


def _of_term(place_of_it: int, count: int) -> Mapping[str, Any]:
    """The style of a loss term; the whole comes first."""
    if not place_of_it:
        return {"color": INK, "linewidth": 1.8}
    i = place_of_it - 1
    return {
        "color": SERIES[i % len(SERIES)],
        "linestyle": LINES[1:][i % (len(LINES) - 1)],
        "marker": MARKERS[i % len(MARKERS)],
        "markersize": 3,
        "markevery": max(1, count // 8),
        "linewidth": 1.1,
    }


def calibration_curve(bins: Sequence[Bin], name: str, error: float) -> Chart:
    """Accuracy by confidence, and below how many images have that confidence.

    Args:
        error: the expected calibration error, in per cent.
    """
    there = [b for b in bins if b.images]
    width = 100 / len(bins)
    with drawing():
        figure = new_figure(2.7)
        upper, lower = place(
            figure, 0.66, 0.42, 0.12, 0.3, nrows=2, sharex=True, height_ratios=[3, 1]
        )
        figure.subplots_adjust(hspace=0.14)
        upper.bar(
            [(b.low + b.high) / 2 for b in there], [b.accuracy for b in there], width * 0.92,
            color=SERIES[0], edgecolor=PAPER, linewidth=0.4, alpha=0.35,
            label="accuracy",
        )  # fmt: skip
        confidence = [b.confidence for b in there]
        upper.plot(
            confidence, [b.accuracy for b in there], "o", color=SERIES[0], markersize=3.5,
            label="at the mean confidence",
        )  # fmt: skip
        upper.plot(
            [0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=0.9, label="both equal"
        )
        upper.set(ylim=(0, 104), ylabel="accuracy, %")
        figure.legend(*upper.get_legend_handles_labels(), loc="upper right", ncols=3, fontsize=7)
        lower.bar(
            [(b.low + b.high) / 2 for b in there], [b.images for b in there], width * 0.92,
            color=COLOURS["s6"],
        )  # fmt: skip
        lower.locator_params(axis="y", nbins=3, integer=True)
        lower.set(xlim=(0, 100), xlabel="confidence, %", ylabel="images")
        for axes in (upper, lower):
            horizontal_rules(axes)
    return Chart(
        figure,
        f"{name}: calibration; the expected calibration error is {error:.2f}%",
        f"Accuracy in {len(bins)} bins of confidence beside the line where both are equal; "
        f"expected calibration error {error:.2f}%",
        ["confidence, %", "images", "mean confidence, %", "accuracy, %"],
        [
            [f"{b.low:.1f} to {b.high:.1f}", str(b.images), f"{b.confidence:.2f}",
             f"{b.accuracy:.2f}"]
            for b in there
        ],
    )  # fmt: skip
