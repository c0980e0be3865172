"""The `predictions.csv` beside a results file: which images a run got right."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE_NAME = "predictions.csv"
HEADER = ["path", "label", "prediction", "confidence"]
_ACCURACY = 0.005  # points that results.json may be rounded by

# Which image: its path, its label, and which of several lines with both.
Image = tuple[str, int, int]


class Prediction(NamedTuple):
    """Of one image: label and prediction are numbers of classes, the confidence is up to 1."""

    path: str
    label: int
    prediction: int
    confidence: float

    @property
    def right(self) -> bool:
        return self.label == self.prediction


def predictions_beside(result: Mapping[str, Any]) -> Path | None:
    """The file of a result, None if there is none."""
    file = Path(result["path"]).with_name(FILE_NAME)
    return file if file.is_file() else None


def read_right(file: Path, result: Mapping[str, Any]) -> dict[Image, bool]:
    """Whether each image was classified rightly, in the order of the file.

    Args:
        result: that the file lies beside.

    Raises:
        ValueError: a damaged file, or one of another evaluation than the result; names file, line
            and what is wrong.
    """
    right: dict[Image, bool] = {}
    for p in read_predictions(file, result):
        same = 0
        while (p.path, p.label, same) in right:
            same += 1
        right[p.path, p.label, same] = p.right
    return right


def read_predictions(file: Path, result: Mapping[str, Any]) -> list[Prediction]:
    """All predictions of a file, in its order.

    Args:
        result: that the file lies beside.

    Raises:
        ValueError: as `read_right`.
    """
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            if next(lines, None) != HEADER:
                raise ValueError(f"line 1 is not {','.join(HEADER)}")
            found = [_prediction(fields, lines.line_num) for fields in lines]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    _require_own(file, found, result)
    return found


def _prediction(fields: list[str], line: int) -> Prediction:
    if len(fields) != len(HEADER):
        raise ValueError(f"line {line} has {len(fields)} fields, not {len(HEADER)}")
    path, label, prediction, confidence = fields
    for name, number in (("label", label), ("prediction", prediction)):
        if not (number.isascii() and number.isdigit()):
            raise ValueError(f"line {line}: {name} is {number!r}, not the number of a class")
    try:
        sure = float(confidence)
    except ValueError:
        sure = math.nan
    if not 0 <= sure <= 1:  # NaN is neither
        raise ValueError(f"line {line}: confidence is {confidence!r}, not a number from 0 to 1")
    return Prediction(path, int(label), int(prediction), sure)


def _require_own(file: Path, found: list[Prediction], result: Mapping[str, Any]) -> None:
    total, correct = len(found), sum(p.right for p in found)
    for key, here in (("total", total), ("correct", correct)):
        if result.get(key, here) != here:
            raise ValueError(
                f"{file} does not belong to the results.json beside it: {key} is {here} in it, "
                f"{result[key]} there"
            )
    accuracy = 100 * correct / total if total else -1.0
    if abs(accuracy - result["accuracy"]) > _ACCURACY:
        raise ValueError(
            f"{file} does not belong to the results.json beside it: {correct} of {total} images "
            f"are right in it, the accuracy there is {result['accuracy']}"
        )
