"""What may stand in a run's record, wherever one is read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any


def check_record(record: Any, where: str | os.PathLike, needed: Sequence[str] = ()) -> None:
    """Refuse a record (`results.provenance`) of another form.

    Args:
        where: the file that holds it, for the message.
        needed: the parts that it must have; what else it lacks is no fault.

    Raises:
        ValueError: with the part, its value, and what it would have to be.
    """
    _require(record, dict, "what it is made of", "an object", where)
    missing = [part for part in needed if part not in record]
    if missing:
        raise ValueError(f"{where}: what it is made of lacks {', '.join(missing)}")
    for part, kind, wanted in (
        ("method", str, "a name"),
        ("settings", dict, "an object"),
        ("classes", list, "a list of names"),
        ("data", dict, "an object"),
    ):
        if part in record:
            _require(record[part], kind, part, wanted, where)
    for key in record.get("settings", {}).keys() & {"SEED", "DATASET.NUM_SHOTS"}:
        _require(record["settings"][key], int, f"settings.{key}", "a whole number", where)
    for name in record.get("classes", ()):
        _require(name, str, "a name of classes", "a string", where)
    for part in {"backbone", "initial_backbone"} & record.keys():
        _check_backbone(record[part], part, where)
    for name, images in record.get("data", {}).items():
        _require(images, dict, f"data.{name}", "an object", where)
        _require(images.get("images"), int, f"data.{name}.images", "a whole number", where)
        _require(images.get("sha256"), str, f"data.{name}.sha256", "a string", where)
        if "content" not in images:
            raise ValueError(f"{where}: data.{name} lacks content, a string or null")
        _require(images["content"], str | None, f"data.{name}.content", "a string or null", where)


def _check_backbone(backbone: Any, part: str, where: str | os.PathLike) -> None:
    _require(backbone, dict, part, "an object", where)
    for key in ("name", "sha256"):
        _require(backbone.get(key), str, f"{part}.{key}", "a string", where)
    told = backbone.get("told", {})
    _require(told, dict, f"{part}.told", "an object", where)
    for key, value in told.items():
        _require(value, str, f"{part}.told.{key}", "a string", where)


def require_settings(settings: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    """Refuse a record's settings that lack some; `ValueError` with their keys."""
    missing = [key for key in keys if key not in settings]
    if missing:
        raise ValueError(f"the settings in {where} lack {', '.join(missing)}")


def _require(value: Any, kind: Any, part: str, wanted: str, where: str | os.PathLike) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {part} is {value!r}, not {wanted}")
