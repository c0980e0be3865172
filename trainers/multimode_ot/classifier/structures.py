"""Nested values of tensors, such as a method's class features, as a plan in JSON and flat tensors.

Nothing is pickled: a named tuple is found again by its name in this package or in the module of the
method that made it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

PACKAGE = __package__.partition(".")[0]
OWN = "method"  # stands for the module of the method's class


def flatten(value: Any, method: type) -> tuple[Any, dict[str, Tensor]]:
    """The plan of a value, and its tensors by name.

    Args:
        method: the class whose module may define named tuples of its own.

    Raises:
        ValueError: something else than tensors, numbers, words and what can hold these.
    """
    tensors: dict[str, Tensor] = {}

    def plan_of(value: Any, name: str) -> Any:
        def parts(items: Iterator[tuple[Any, Any]]) -> dict[str, Any]:
            return {str(key): plan_of(item, f"{name}.{key}") for key, item in items}

        if isinstance(value, Tensor):
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"tensor": name}
        if value is None or isinstance(value, bool | int | float | str):
            return {"value": value}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            fields = parts(zip(value._fields, value, strict=True))
            return {"named": _name_of(type(value), method), "fields": fields}
        if isinstance(value, tuple | list):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: list(parts(iter(enumerate(value))).values())}
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {"dict": parts(iter(value.items()))}
        raise ValueError(f"a {type(value).__name__} among the class features cannot be saved")

    return plan_of(value, "features"), tensors


def rebuilt(plan: Any, tensors: Mapping[str, Tensor], method: type) -> Any:
    """The value that `flatten` has made a plan of.

    Raises:
        ValueError: no plan, or one of other tensors.
    """
    match plan:
        case {"tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"value": value}:
            return value
        case {"named": str(name), "fields": dict(fields)}:
            kind = _found(name, method)
            if set(fields) != set(kind._fields):
                raise ValueError(f"{name} has the fields {kind._fields}, not {tuple(fields)}")
            return kind(**{key: rebuilt(item, tensors, method) for key, item in fields.items()})
        case {"tuple": list(items)}:
            return tuple(rebuilt(item, tensors, method) for item in items)
        case {"list": list(items)}:
            return [rebuilt(item, tensors, method) for item in items]
        case {"dict": dict(items)}:
            return {key: rebuilt(item, tensors, method) for key, item in items.items()}
    raise ValueError(f"{str(plan)[:60]!r} is no part of a plan of these tensors")


def _name_of(kind: type, method: type) -> str:
    own = kind.__module__ == method.__module__
    return f"{OWN if own else kind.__module__.removeprefix(f'{PACKAGE}.')}:{kind.__qualname__}"


def _found(name: str, method: type) -> Any:
    module, _, kind = name.partition(":")
    try:
        full = method.__module__ if module == OWN else f"{PACKAGE}.{module}"
        found = getattr(importlib.import_module(full), kind)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields")):
        raise ValueError(f"{name!r} is no named tuple of this package")
    return found
