"""What a run is made of, and whether two runs are made of the same.

A record is plain data: method and its version, settings, class names, fingerprints of the three
image lists, the backbone's identity. It is in `run.json` from a run's first second, in every
checkpoint, and in `results.json`. docs/provenance.md has the table of what is compared when.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from yacs.config import CfgNode

from ..config import flatten
from .results_json import BEFORE, FREE_SETTINGS, LIST, is_idle

READ_BYTES = 2**28  # 256 MB; hashed in a second where they are in memory, as they soon will be
BACKBONE = "backbone"  # a part of records
LISTS = {"train": "train_x", "val": "val", "test": "test"}  # names here, and of the data set

# Says only where and how to run, or what to print: may differ in the same run.
FREE = {
    "VERSION",
    "OUTPUT_DIR",
    "RESUME",
    "USE_CUDA",
    "DEVICE",
    "VERBOSE",
    "TRAIN.PRINT_FREQ",
    "TRAIN.CHECKPOINT_FREQ",
    "TRAIN.CHECKPOINT_BATCHES",
    "TEST.NO_TEST",
    "TEST.PER_CLASS_RESULT",
    "TEST.COMPUTE_CMAT",
    "DATASET.ROOT",
    "DATASET.FINGERPRINT",
    "DATALOADER.NUM_WORKERS",
    "DATALOADER.CACHE_MB",
    # Of these the content counts, not the name; preprocessing stands in INPUT.
    "MODEL.BACKBONE.NAME",
    "MODEL.BACKBONE.ACTIVATION",
    "MODEL.BACKBONE.HEAD_WIDTH",
    "MODEL.BACKBONE.PREPROCESSING",
    "MODEL.BACKBONE.ALLOW_OTHER",
    "MODEL.INIT_WEIGHTS",
}
# Read by nothing that a method does which trains nothing.
OF_TRAINING = (
    "OPTIM.",
    "TRAIN.",
    "DATALOADER.TRAIN_",
    "DATALOADER.K_TRANSFORMS",
    "SEED",
    "DATASET.NUM_SHOTS",
    "TEST.FINAL_MODEL",
    "TEST.NO_TEST",
)
# May differ besides where trained prompts are tested: on what, and how the test is run.
FREE_IN_TESTS = ("DATASET.", "TEST.", "DATALOADER.TEST.", "DATALOADER.SKIP_BAD_IMAGES")
# But these are part of what was trained, so a test that names them must agree.
TRAINED_WITH = {"DATASET.NUM_SHOTS": 1, "SEED": 0}  # smallest value that names something


class Difference(NamedTuple):
    """One thing that two runs do not share, by its config key or a name of this module."""

    name: str
    there: Any
    here: Any

    def __str__(self) -> str:
        return f"{self.name} is {short(self.there)} there and {short(self.here)} here"


def settings_of_run(cfg: CfgNode, trains: bool = True) -> dict[str, Any]:
    """All settings that can change a result, as JSON has them, by their full keys.

    Settings of other methods are left out, and so is what FREE lists.

    Args:
        trains: whether the method has anything to train.
    """
    own = f"TRAINER.{cfg.TRAINER.NAME.upper()}."
    free = FREE | {own + key for key in FREE_SETTINGS}
    found = {}
    for key, value in flatten(cfg).items():
        others = key.startswith("TRAINER.") and not key.startswith((own, "TRAINER.NAME"))
        idle = not trains and key.startswith(OF_TRAINING)
        unlisted = key.startswith(own) and is_idle(key, cfg)
        if key not in free and not others and not idle and not unlisted:
            found[key] = value
    if trains and cfg.TEST.FINAL_MODEL == "best_val":
        found["TEST.NO_TEST"] = cfg.TEST.NO_TEST  # then it rules what is saved
    return json.loads(json.dumps(found))


def fingerprint(items: Iterable[Any], root: str, content: bool | None = None) -> dict[str, Any]:
    """What identifies a list of images: their order, paths, labels, file sizes and bytes.

    Args:
        items: Dassl's `Datum`s.
        root: paths count from here, so that a data root may be moved.
        content: read every file; None: if all are together at most `READ_BYTES`. (Pictures of one
            kind often have one size: bitmaps, scans, plain colours.)

    Returns:
        `images`, the number of them; `sha256` of the list; `content`, of the files' bytes, or None.

    Raises:
        OSError: an image that is not there.
    """
    listed, paths, total = hashlib.sha256(), [], 0
    root = os.path.abspath(os.path.expanduser(root))
    for item in items:
        path = os.path.relpath(item.impath, root).replace(os.sep, "/")
        size = os.path.getsize(item.impath)
        listed.update(f"{path}\t{item.label}\t{size}\n".encode(errors="surrogateescape"))
        paths.append(item.impath)
        total += size
    # Of lists with the same sizes, either both are read or none.
    read = total <= READ_BYTES if content is None else content
    return {
        "images": len(paths),
        "sha256": listed.hexdigest(),
        "content": _content(paths) if read else None,
    }


def _content(paths: Iterable[str]) -> str:
    """sha256 of all files' sha256, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_digest(path))
    return digest.hexdigest()


def _digest(path: str) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()


def _shared(items: Iterable[Any], others: Iterable[Any], by_bytes: bool) -> int:
    """How many images are among others, by their paths or also as copies under other names."""
    paths = {item.impath for item in others}
    rest = [item.impath for item in items if item.impath not in paths]
    sizes = {os.path.getsize(path) for path in rest} if by_bytes else set()
    alike = {_digest(path) for path in paths if sizes and os.path.getsize(path) in sizes}
    copies = sum(_digest(path) in alike for path in rest) if alike else 0
    return sum(item.impath in paths for item in items) + copies


def data_of_run(dataset: Any, cfg: CfgNode, trains: bool = True) -> dict[str, Any]:
    """`classes` and `data` of a record, from a Dassl data set and the config that it was made by.

    Args:
        trains: whether the method has anything to train; else the test images are all.

    Raises:
        OSError: an image that is not there.
    """
    content = {"content": True, "sizes": False}.get(cfg.DATASET.get("FINGERPRINT", "auto"))
    lists = {name: getattr(dataset, attribute) or () for name, attribute in LISTS.items()}
    names = LISTS if trains else ("test",)
    data = {name: fingerprint(lists[name], cfg.DATASET.ROOT, content) for name in names}
    if trains:
        tuned = cfg.TRAINER.get(cfg.TRAINER.NAME.upper(), {}).get("TUNE")
        by_bytes = "val" in (tuned, cfg.TEST.FINAL_MODEL.removeprefix("best_"))  # else it is idle
        data["val"]["also_in_test"] = _shared(lists["val"], lists["test"], by_bytes)
    return {"classes": list(dataset.classnames), "data": data}


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], testing: bool = False
) -> list[Difference]:
    """What two records do not share. A part that one of them lacks is not compared.

    Args:
        testing: `there` was trained and `here` only tests it, so data, classes and how the test is
            run may differ.
    """
    return [d for d in _all_differences(there, here, testing) if d.there != d.here]


def _all_differences(
    there: Mapping[str, Any], here: Mapping[str, Any], testing: bool
) -> Iterator[Difference]:
    for part in ("method",) if testing else ("method", "method_version"):
        yield Difference(part, there.get(part), here.get(part))
    old, new = there.get("settings", {}), here.get("settings", {})
    one_sided = old.keys() ^ new.keys()
    then: dict[str, Any] = {key: [] for key in one_sided if key.endswith(f".{LIST}")}
    then |= {key: BEFORE[key] for key in one_sided & BEFORE.keys()}
    old, new = then | old, then | new  # records of earlier versions lack it
    for key in sorted(old.keys() & new.keys()):
        if testing and key in TRAINED_WITH:
            if old[key] >= TRAINED_WITH[key] <= new[key]:
                yield Difference(key, old[key], new[key])
        elif not (testing and key.startswith(FREE_IN_TESTS)):
            yield Difference(key, old[key], new[key])
    old, new = there.get("backbone"), here.get("backbone")
    if old and new and old["sha256"] != new["sha256"]:
        yield Difference(BACKBONE, backbone_in_words(old), backbone_in_words(new))
    for part in () if testing else ("initial_weights", "training_files", "classes"):
        if part in there and part in here:
            yield Difference(part, there[part], here[part])
    old, new = there.get("data", {}), here.get("data", {})
    for name in () if testing else [n for n in LISTS if n in old and n in new]:
        yield from _data_differences(f"{name} images", old[name], new[name])


def backbone_in_words(part: Mapping[str, Any]) -> str:
    return f"{part['name']} ({part['sha256'][:12]})"


def _data_differences(
    name: str, there: Mapping[str, Any], here: Mapping[str, Any]
) -> Iterator[Difference]:
    """What two fingerprints do not share; equal parts are among them."""
    yield Difference(name, there["images"], here["images"])
    if there["images"] == here["images"]:
        same = there["sha256"] == here["sha256"]
        yield Difference(f"{name} (paths, labels, sizes)", there["sha256"], here["sha256"])
        if same and there.get("content") and here.get("content"):
            yield Difference(f"{name} (content)", there["content"], here["content"])


def short(value: Any) -> str:
    """A value as a message shows it: of long lists and digests the beginning."""
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    if isinstance(value, list) and len(value) > 8:
        return f"{', '.join(map(str, value[:8]))}, ... ({len(value)})"
    return repr(value)


def describe(found: list[Difference], limit: int = 6) -> str:
    """Differences as one line."""
    more = f"; and {len(found) - limit} more" if len(found) > limit else ""
    return "; ".join(map(str, found[:limit])) + more
