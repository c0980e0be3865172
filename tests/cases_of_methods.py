"""What there is to try of any method: backbones, settings, bounds, lists of regularisers."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from any_method import EXACT, RESNET, VIT, Case
from multimode_ot.config import Setting
from multimode_ot.methods import find_method
from multimode_ot.methods.base import PromptedCLIP
from multimode_ot.regularisers import REGULARISERS


@cache
def on_each_backbone(method: str) -> list[Case]:
    """A method on each tiny backbone that it takes: quick GELU with heads of 64, exact GELU with
    heads of 80 and MLPs of other widths, a ResNet. What is refused there is turned off if its
    setting may be 0."""
    tried = [on_backbone(Case(method, shape)) for shape in (VIT, EXACT, RESNET)]
    return [case for case, refusal in tried if not refusal]


def cases(method: str) -> list[Case]:
    """Those that everything is tried on: OpenAI's two kinds."""
    return [case for case in on_each_backbone(method) if case.shape != EXACT]


def on_backbone(case: Case) -> tuple[Case, str]:
    """A case that can be built, or the reason why there is none."""
    try:
        case.build(["x"])
    except ValueError as refusal:
        for key, setting in own_settings(case.method).items():
            may_be_off = setting.least == 0 and key not in dict(case.changes)
            if may_be_off and f".{key} " in str(refusal):
                return on_backbone(replace(case, changes=(*case.changes, (key, 0))))
        return case, str(refusal)
    return case, ""


def own_settings(method: str) -> dict[str, Setting]:
    """Without those that all methods have."""
    everywhere = PromptedCLIP.all_settings()
    settings = find_method(method).all_settings()
    return {key: setting for key, setting in settings.items() if key not in everywhere}


def choices(method: str) -> Iterator[Case]:
    """Each setting at each value that its declaration holds out, the others at their defaults."""
    for key, setting in own_settings(method).items():
        values = list(setting.one_of)
        if isinstance(setting.default, bool):
            values = [True, False]
        elif isinstance(setting.default, str) and not values:
            values = [""]
        elif setting.least is not None:
            values = [type(setting.default)(setting.least)]
        for value in values:
            if value != setting.default:
                yield Case(method, changes=((key, value),))


def beyond(setting: Setting) -> list[tuple[Any, list[str]]]:
    """Values that a declaration only just rules out, and what a refusal then has to say."""
    kind, found = type(setting.default), []
    if setting.one_of:
        found.append((f"{setting.one_of[0]}s", [*map(str, setting.one_of), "did you mean"]))
    for bound, words, value in [
        (setting.least, "at least", lambda bound: bound - 1),
        (setting.above, "more than", lambda bound: bound),
        (setting.below, "less than", lambda bound: bound),
    ]:
        if bound is not None:
            values = [kind(value(bound))]
            if kind is float and not any(isinstance(v, float) and math.isnan(v) for v, _ in found):
                values.append(math.nan)
            found += [(value, [f"must be {words} {bound}"]) for value in values]
    return found


def listings(method: str) -> list[Case]:
    """Each regulariser, and each two."""
    lists = [itertools.combinations(REGULARISERS, count) for count in (1, 2)]
    return [Case(method, parts=parts) for parts in itertools.chain(*lists)]


@cache
def taken(method: str) -> list[Case]:
    """The lists of regularisers that a method takes."""
    return [case for case in listings(method) if not case.refusal()]


@cache
def refused(method: str) -> list[Case]:
    """Those that it refuses."""
    return [case for case in listings(method) if case.refusal()]


# What a test of every method is given, by the name of its argument.
ARGUMENTS = {
    "method": lambda method: [method],
    "case": cases,
    "placed": on_each_backbone,
    "learner": lambda method: [c for c in cases(method) if c.trains and not c.fitted],
    "choice": lambda method: list(choices(method)),
    "taken": taken,
    "refused": refused,
}
