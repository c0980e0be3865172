"""What may stand in the fields of a results file."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from .records import check_record

AVERAGE = "average"  # a row of tables, so no data set's name


def _whole(smallest: int) -> tuple[Callable[[Any], bool], str]:
    def test(value: Any) -> bool:
        return type(value) is int and value >= smallest

    return test, f"a whole number from {smallest}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_per_cent(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 100  # NaN is neither


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


_NAME = (_is_name, "a name")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_OBJECT = (_is_object, "an object")
_PER_CENT = (_is_per_cent, "a number from 0 to 100")
_AMOUNT = (_is_amount, "a number from 0")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "method": _NAME,
    "dataset": (lambda value: _is_name(value) and value != AVERAGE, "a data set's name"),
    "subset": _NAME,
    "shots": _whole(-1),
    "seed": _whole(-1),
    "accuracy": _PER_CENT,
}
# Older files lack these.
_LATER_FIELDS = {
    "epoch": _whole(0),
    "trained_parameters": _whole(0),
    "skipped": _whole(0),
    "correct": _whole(0),
    "total": _whole(0),
    "seconds": _AMOUNT,
    "peak_memory_mb": _AMOUNT,
    **dict.fromkeys(("top5", "ece", "mean_class_accuracy", "macro_f1"), _PER_CENT),
    "backbone": _NAME,
    "split": _NAME,
    "config_hash": _NAME,
    "regularisers": (
        lambda value: isinstance(value, list) and all(map(_is_name, value)),
        "a list of names",
    ),
    "versions": _OBJECT,
    **dict.fromkeys(("selection", "places", "made_of", "trained_by"), _OBJECT),
    "new_is_zero_shot": (lambda value: isinstance(value, bool), "true or false"),
}
_SELECTION = {
    "rule": (lambda value: value is None or _is_name(value), "a name or null"),
    "epoch": (lambda value: value is None or _whole(0)[0](value), "a whole number or null"),
    "split": (lambda value: value in ("val", "test", None), "'val', 'test' or null"),
}
# What a record in a results file has at least.
_RECORDS = {
    "made_of": ("method_version", "settings", "classes", "backbone", "data"),
    "trained_by": ("settings", "data"),
}


def check_fields(result: Mapping[str, Any]) -> None:
    """Refuse a result, which has its file as `path`, with a field that cannot be.

    Raises:
        ValueError: with the file, the field, its value, and what it would have to be.
    """
    checked = [(key, result[key], field) for key, field in _FIELDS.items()]
    for key, field in _LATER_FIELDS.items():
        if result.get(key) is not None:
            checked.append((key, result[key], field))
    if isinstance(result.get("selection"), dict):
        for key, field in _SELECTION.items():
            checked.append((f"selection.{key}", result["selection"].get(key), field))
    for key, value, (fits, wanted) in checked:
        if not fits(value):
            raise ValueError(
                f"{result['path']} is not a results file: {key} is {reprlib.repr(value)}, "
                f"not {wanted}"
            )
    for key, needed in _RECORDS.items():
        if result.get(key) is not None:
            check_record(result[key], f"{result['path']} is not a results file: {key}", needed)
    made_of = result.get("made_of")
    if made_of is not None and "test" not in made_of["data"]:
        raise ValueError(f"{result['path']} is not a results file: made_of: data lacks test")
