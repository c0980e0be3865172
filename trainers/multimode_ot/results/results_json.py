"""`results.json`: one evaluation in full precision, the only file that tables and plots read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ..config import flatten
from ..files import write_json

FILE_NAME = "results.json"

# What may differ between runs that are seeds, subsets or data sets of one configuration, or that
# says only where and how to run. Everything else that a method reads is in its hash.
_NOT_COMPARED = {
    "VERSION",
    "OUTPUT_DIR",
    "RESUME",
    "SEED",
    "USE_CUDA",
    "VERBOSE",
    "TRAIN",
    "TRAINER",
    "DATASET.ROOT",
    "DATASET.NAME",
    "DATASET.SUBSAMPLE_CLASSES",
    "DATASET.FINGERPRINT",
    "INPUT.AS_SEEN",
    "MODEL.BACKBONE.ACTIVATION",
    "MODEL.BACKBONE.HEAD_WIDTH",
    "MODEL.BACKBONE.PREPROCESSING",
    "MODEL.BACKBONE.ALLOW_OTHER",
    "DATALOADER.NUM_WORKERS",
    "DATALOADER.CACHE_MB",
}
# Of a method's own settings those that change no result, or that name files whose content a run's
# record has.
FREE_SETTINGS = ("MEMORY_MB", "DESCRIPTIONS")
LIST = "REGULARISERS"  # the setting that lists a method's parts
# Settings that earlier versions lacked, and what all did then. They are in no digest where they
# are so.
BEFORE = {"INPUT.RESIZE_MODE": "shortest"}
# What must agree between methods that share a table.
_COMMON = (
    "MODEL.BACKBONE.NAME",
    "INPUT.SIZE",
    "INPUT.INTERPOLATION",
    "INPUT.PIXEL_MEAN",
    "INPUT.PIXEL_STD",
    "TEST.SPLIT",
)


def harmonic_mean(base: float, new: float) -> float:
    """`2 * base * new / (base + new)`, 0 if both are."""
    return 2 * base * new / (base + new) if base + new else 0.0


def config_hash(cfg: CfgNode, trains: bool = True) -> str:
    """`<common>-<whole>`: two short digests of a config.

    The first covers what all methods of a table must share (backbone, input, test split), the
    second also shots, optimisation and the method's own settings, of which one that trains
    nothing has only the last. Neither depends on the seed, the classes or the data set.
    """
    flat = {k: list(v) if isinstance(v, tuple) else v for k, v in flatten(cfg).items()}
    flat = {key: value for key, value in flat.items() if (key, value) not in BEFORE.items()}
    common = {key: flat.get(key) for key in _COMMON}
    common |= {key: flat[key] for key in BEFORE if key in flat}
    whole = {}
    if trains:
        whole = {
            k: v
            for k, v in flat.items()
            if k not in _NOT_COMPARED and k.split(".")[0] not in _NOT_COMPARED
        }
    own = f"TRAINER.{cfg.TRAINER.NAME.upper()}."
    free = {own + key for key in FREE_SETTINGS}
    whole |= {
        k: v for k, v in flat.items() if k.startswith(own) and k not in free and not is_idle(k, cfg)
    }
    if not whole.get(own + LIST):  # the digest that such runs had before there were any
        whole.pop(own + LIST, None)
    return f"{_digest(common)}-{_digest(common | whole)}"


def is_idle(key: str, cfg: CfgNode) -> bool:
    """Whether a setting of the method is one of a regulariser that is not listed."""
    node, _, rest = key.removeprefix("TRAINER.").partition(".")
    part, _, inner = rest.partition(".")
    return bool(inner) and part.lower() not in cfg.TRAINER[node].get(LIST, ())


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def write_results(directory: str | os.PathLike, results: dict[str, Any]) -> Path:
    """Write `results.json` into a directory, whole or not at all."""
    return write_json(Path(directory) / FILE_NAME, results)


def read_results(path: str | os.PathLike) -> dict[str, Any]:
    """One results file; `ValueError` that names it if it is not one."""
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a results file: {error}") from None
    if not isinstance(results, dict):
        raise ValueError(f"{path} is not a results file: it holds a {type(results).__name__}")
    missing = {"method", "dataset", "subset", "shots", "seed", "accuracy"} - set(results)
    if missing:
        raise ValueError(f"{path} is not a results file: it lacks {sorted(missing)}")
    return results
