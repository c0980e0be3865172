"""Whether results may share a table: what all rows must have in common, what the runs of one
method, and what the two halves of one row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .provenance import short
from .results_json import BEFORE
from .tree import UNTRAINED, heading, is_zero_shot, other_backbone, row_label, shots_of, source_of

Result = Mapping[str, Any]

# Of all results in a table.
_SHARED = (
    "INPUT.SIZE",
    "INPUT.INTERPOLATION",
    "INPUT.PIXEL_MEAN",
    "INPUT.PIXEL_STD",
    "INPUT.AS_SEEN",
    "INPUT.RESIZE_MODE",
    "TEST.SPLIT",
)
# What the runs of one method on one data set and number of shots may differ in.
_FREE_WITHIN_A_METHOD = ("SEED", "DATASET.SUBSAMPLE_CLASSES")


def require_comparable(results: Iterable[Result]) -> None:
    """Refuse results that differ in more than what a table compares.

    All share backbone, input and test split; those of one data set and subset its classes and test
    images, and the training images of one number of shots and seed; those of one method, data set
    and number of shots all settings but the seed, and the method's version. Base and new accuracy
    of one row come from the same weights. What older results do not say is not compared, but for
    the digest of their settings.

    Raises:
        ValueError: two that may not; both files, and what differs with both values.
    """
    seen: dict[tuple, tuple[Any, str]] = {}
    for result in results:
        for what, scope, value in _facts(result):
            first, path = seen.setdefault((what, scope), (value, result["path"]))
            if first != value:
                name, there, here = _apart(what, first, value)
                raise ValueError(
                    f"{path} and {result['path']} may not share a table: {name} is {there} in the "
                    f"one and {here} in the other. Name a narrower folder, or allow it with --mix"
                )


def require_one_training(results: Iterable[Result], protocol: str, by_method: bool = False) -> None:
    """Raise `ValueError` if trained prompts of one table differ in shots, or in their source.

    A table by shots has a column for each.

    Args:
        by_method: compare only within each method.
    """
    if protocol == "fewshot":
        return
    seen: dict[str, tuple[str, str]] = {}
    for r in results:
        if is_zero_shot(r) or row_label(r).endswith(UNTRAINED):
            continue
        said = ", ".join(filter(None, (source_of(r), heading(shots_of(r)))))
        first = seen.setdefault(row_label(r) if by_method else "", (said, r["path"]))
        if first[0] != said:
            options = "--shots" if protocol == "base2new" else "--shots or --source"
            raise ValueError(
                f"two trainings in one table ({first[0]} in {first[1]}, {said} in {r['path']}): "
                f"choose one with {options}"
            )


def unchecked(results: Iterable[Result]) -> str:
    """A sentence on results that do not say what they are made of; "" if all do."""
    count = sum("made_of" not in r for r in results)
    return f"what {count} results of earlier versions are made of is not checked" if count else ""


def _facts(result: Result) -> Iterator[tuple[str, tuple, Any]]:
    """Things that must agree: what, among which results, and the value here."""
    dataset, subset, shots = result["dataset"], result["subset"], result["shots"]
    own = (row_label(result), dataset, shots)
    record = result.get("made_of")
    if record is None:
        digest = result.get("config_hash", "")
        yield "config_hash", own, digest
        yield "config_hash (common part)", (dataset,), digest.partition("-")[0]
        return
    # Weights that were trained elsewhere: what trained them rules, and is what the method is.
    trained = result.get("trained_by") or record
    yield "split", (), result.get("split", "test")
    yield "backbone", (), record["backbone"]["sha256"]
    settings = BEFORE | record["settings"]
    yield "backbone of the prompts", own, (other_backbone(result) or {}).get("sha256", "its own")
    for key in _SHARED:
        if key in settings:
            yield key, (), settings[key]
    if "INPUT.TRANSFORMS" in record["settings"]:
        transforms = record["settings"]["INPUT.TRANSFORMS"]
        yield "normalize in INPUT.TRANSFORMS", (), "normalize" in transforms
    yield "classes", (dataset, subset), record["classes"]
    yield from _images("test images", (dataset, subset), record["data"]["test"])
    source = trained["settings"].get("DATASET.NAME")
    classes = trained["settings"].get("DATASET.SUBSAMPLE_CLASSES")
    for name in ("train", "val"):
        if name in trained["data"]:
            among = (source, classes, shots, result["seed"])
            yield from _images(f"{name} images", among, trained["data"][name])
    yield "method_version", (result["method"],), record["method_version"]
    for key, value in trained["settings"].items():
        if key not in _FREE_WITHIN_A_METHOD:
            yield key, own, value
    for key, digest in trained.get("training_files", {}).items():
        yield f"content of {key}", own, digest
    if result.get("weights") is not None and subset in ("base", "new"):
        yield "weights", (*own, result["seed"], "halves"), result["weights"]


def _images(what: str, among: tuple, fingerprint: Mapping[str, Any]) -> Iterator[tuple]:
    yield what, among, fingerprint["images"]
    yield f"{what} (paths, labels, sizes)", among, fingerprint["sha256"]
    if fingerprint["content"]:
        yield f"{what} (content)", among, fingerprint["content"]


def _apart(what: str, first: Any, second: Any) -> tuple[str, str, str]:
    """The part in which two values of a thing differ, and both as a message shows them."""
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        i = next(i for i, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1])
        return f"{what}[{i}]", short(first[i]), short(second[i])
    return what, short(first), short(second)
