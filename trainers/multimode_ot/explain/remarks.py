"""What an explanation says in sentences: what there is nothing to show of, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..methods.base import PromptedCLIP
from .diversity import Diversity
from .plans import has_plans
from .words import Scale


def on_words(model: PromptedCLIP, scale: Scale | None) -> list[str]:
    """On nearest words; `scale` is None where there are none."""
    name = model.name
    if scale is None:
        return [
            f"{name} learns no token of the text tower's input layer, where words stand: there are "
            "no nearest words."
        ]
    said = []
    rows = model.clip.token_embedding.weight.shape[0]
    if scale.vocabulary < rows:
        said.append(
            f"Of the {rows:,} rows of the token embedding of {model.clip.name} only "
            f"{scale.vocabulary} hold anything; the others are zero, are no words, and are left "
            "out."
        )
    if scale.rows < scale.vocabulary:
        said.append(
            f"The scale of the nearest words is the mean over {scale.rows:,} rows, evenly spaced, "
            f"of {scale.vocabulary:,}."
        )
    return said


def on_plans(model: PromptedCLIP, mapped: bool) -> list[str]:
    """On plans and maps; `mapped`: whether there are maps."""
    name = model.name
    if not has_plans(type(model)):
        return [
            f"{name} makes its logits without a transport plan: there is no plan, and no map over "
            "the image."
        ]
    said = []
    if not mapped:
        said.append(
            f"The plans of {name} lie between visual and textual prompts; no patch of the image is "
            "in them, so there are no maps."
        )
    dependence = model.depends_on_batch()
    if dependence:
        said.append(
            f"A plan of {name} depends slightly on which images are solved together "
            f"({dependence}): those shown were solved for these images together, those "
            "of the statistics in the evaluation's batches."
        )
    return said


def on_diversity(model: PromptedCLIP, found: Diversity) -> list[str]:
    """On the modes of the trained model."""
    sides = [side for side, cosines in found._asdict().items() if cosines is None]
    what = {"text": "one prompt feature a class", "image": "one feature an image"}
    if not sides:
        return []
    return [
        f"{model.name} has {' and '.join(what[side] for side in sides)}: no modes that could be "
        "alike."
    ]


def on_the_start(record: Mapping[str, Any]) -> list[str]:
    """On what "before training" is, where it is not what the run started from."""
    said = []
    if record.get("initial_weights"):
        said.append(
            "The run started from given weights (MODEL.INIT_WEIGHTS), which its folder does not "
            "hold: before training means the method's own initialisation with the run's seed."
        )
    if record["settings"].get("SEED", -1) < 0:
        said.append(
            "The run set no seed: before training means a random initialisation of the same "
            "settings, not the one that the run had."
        )
    return said
