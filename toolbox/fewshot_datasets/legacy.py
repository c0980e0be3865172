"""The ecosystem's pickled caches, read without trusting them.

CoOp-family repositories pickle lists of Dassl's `Datum` into `split_fewshot/shot_*-seed_*.pkl`
and ImageNet's `preprocessed.pkl`. A pickle is a program; this reader runs only the part of the
language that builds plain containers, strings, numbers and that one class.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from .files import DatasetError
from .splits import Record


class StaleCache(Exception):
    """A cache cannot serve this data set; the message is the reason."""


class _PickledDatum:
    """What a pickled Datum becomes: its four fields and no behaviour."""

    __slots__ = ("_classname", "_domain", "_impath", "_label")

    def __setstate__(self, state: dict) -> None:
        for name in self.__slots__:
            setattr(self, name, state[name])


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("dassl.data.datasets.base_dataset", "Datum"):
            return _PickledDatum
        raise DatasetError(f"it asks for {module}.{name}, which no cache of images needs")


def read_pickle(path: Path, image_dir: str) -> dict[str, list[Record]]:
    """The lists in a pickled cache, with paths relative to `image_dir`.

    Raises DatasetError if the pickle asks for anything but `Datum`, and StaleCache if it is
    damaged, has another form, or was made under another data root.
    """
    try:
        with path.open("rb") as f:
            content = _Unpickler(f).load()
    except DatasetError as e:
        raise DatasetError(
            f"refused to load {path}: {e}. Delete it, or find out who made it"
        ) from e
    except Exception as e:  # a damaged pickle can raise nearly anything
        raise StaleCache(f"it cannot be read: {type(e).__name__}: {e}") from e
    if not isinstance(content, dict) or not all(isinstance(v, list) for v in content.values()):
        raise StaleCache("it does not hold lists of images")
    return {key: [_record(d, image_dir) for d in content[key]] for key in content}


def _record(datum: Any, image_dir: str) -> Record:
    prefix = image_dir + os.sep
    try:
        path, label, name = datum._impath, datum._label, datum._classname
    except AttributeError:
        raise StaleCache(f"it holds a {type(datum).__name__} where a Datum belongs") from None
    if not (isinstance(path, str) and isinstance(label, int) and isinstance(name, str)):
        raise StaleCache(f"it holds a malformed Datum ({path!r}, {label!r}, {name!r})")
    if not path.startswith(prefix):
        raise StaleCache(f"it was made under another root: {path} is not below {image_dir}")
    return Record(path[len(prefix) :].replace(os.sep, "/"), label, name)
