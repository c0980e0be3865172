"""What the commands that take a run's folder are told in tests."""

import csv
import json
from pathlib import Path

from multimode_ot.training.finished import FinishedRun


def change(file: Path, *keys: str, to: object) -> None:
    """Another value in a file of JSON."""
    content = json.loads(file.read_text())
    *path, last = keys
    part = content
    for key in path:
        part = part[key]
    part[last] = to
    file.write_text(json.dumps(content))


def predicted(folder: Path, count: int) -> list[tuple[str, str, float]]:
    """The first pictures of a run's `predictions.csv`: file, name of the class, confidence."""
    found = FinishedRun(folder)
    with found.predictions_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:count]
    return [
        (
            str(found.image_path(row["path"])),
            found.classnames[int(row["prediction"])],
            float(row["confidence"]),
        )
        for row in rows
    ]


def read_csv(file: Path) -> list[list[str]]:
    """All lines, with a path's bytes that are no text as surrogates."""
    with open(file, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return list(csv.reader(stream))
