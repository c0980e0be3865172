"""Plain data out, and only data in: the two halves of checkpoints that never run code.

What is written holds tensors, numbers, strings and containers. What is read may also come from
the original toolbox, whose files carry pickled scheduler and optimizer objects; these are read as
dicts of their attributes. `torch.load`'s restricted reader does both, so that no pickle machine
with the power to call things ever sees the file.
"""

import enum
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_plain(value: Any, where: str) -> Any:
    """`value` made of what `torch.load(weights_only=True)` admits.

    What is none of it becomes None with a warning: losing a stray object at the end of a long
    training is better than losing the weights.
    """
    if isinstance(value, (np.generic, enum.Enum)):  # these may be floats, but pickle otherwise
        return to_plain(value.item() if isinstance(value, np.generic) else value.value, where)
    if value is None or isinstance(value, (Tensor, torch.dtype, torch.device)):
        return value
    for kind in (bool, int, float, complex, str, bytes):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(value.copy())
    if isinstance(value, Mapping):
        items = ((to_plain(k, where), to_plain(v, f"{where}.{k}")) for k, v in value.items())
        return OrderedDict(items) if isinstance(value, OrderedDict) else dict(items)
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(to_plain(v, f"{where}[{i}]") for i, v in enumerate(value))
    warnings.warn(
        f"{where} is a {type(value).__name__}, not plain data: left out of the file", stacklevel=2
    )
    return None


class RefusedCheckpoint(pickle.UnpicklingError):
    """The file asks for more than data."""


class _Inert:
    """Holds the attributes of an object whose class is not to be run."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            vars(self).update(state)


def _defaultdict(*_factory: Any) -> dict:
    return {}


_defaultdict.__module__, _defaultdict.__qualname__ = "collections", "defaultdict"
_defaultdict.__name__ = "defaultdict"


def _old_format_globals() -> list[Any]:
    """Reads a scheduler or optimizer as inert; nothing here can do more than hold data."""
    kinds = [*vars(torch.optim).values(), *vars(torch.optim.lr_scheduler).values()]
    names = {(k.__module__, k.__name__) for k in kinds if isinstance(k, type)}
    names = {name for name in names if name[0].startswith("torch.optim.")}
    names |= {("torch.optim.lr_scheduler", "_LRScheduler"), ("dassl.optim.radam", "RAdam")}
    return [type(name, (_Inert,), {"__module__": module}) for module, name in sorted(names)] + [
        _defaultdict,
        dict,
    ]


def _without_inert(value: Any) -> Any:
    """Inert objects as dicts of their plain attributes; other objects they hold are dropped."""
    if isinstance(value, _Inert):
        kept = {k: v for k, v in vars(value).items() if not isinstance(v, _Inert)}
        return _without_inert(kept)
    if type(value) in (dict, OrderedDict):
        for key in value:
            value[key] = _without_inert(value[key])
        return value
    if type(value) in (list, tuple):
        return type(value)(_without_inert(v) for v in value)
    return value


def load_data(path: str, map_location: Any = None) -> Any:
    """`torch.load` that admits data, and inert schedulers and optimizers, and nothing else.

    Raises pickle.UnpicklingError, with the file, for anything else and for what is damaged.
    """
    read = partial(torch.load, path, map_location=map_location, weights_only=True)
    try:
        try:
            return read()
        except pickle.UnpicklingError:
            with torch.serialization.safe_globals(_old_format_globals()):
                return _without_inert(read())
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are damages
        raise _refusal(path, error) from None


def _refusal(path: str, error: Exception) -> pickle.UnpicklingError:
    """What is wrong, without torch's advice to load without the restriction: never that."""
    text = str(error)
    named = re.search(r"GLOBAL ([\w.]+)|function (.+)", text)
    if isinstance(error, pickle.UnpicklingError) and named:
        return RefusedCheckpoint(
            f'Refused "{path}": it asks for {named[1] or named[2]}, and only tensors and plain '
            "data are read from checkpoints"
        )
    cause = re.search(r"WeightsUnpickler error: (.*)", text)
    reason = cause[1] if cause else f"{type(error).__name__} {text.partition(chr(10))[0]}".rstrip()
    return pickle.UnpicklingError(
        f'Cannot read "{path}" as a checkpoint ({reason}): it is damaged or of another kind'
    )
