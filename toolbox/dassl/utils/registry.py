"""Named registries: trainers, data sets and evaluators are found by class name in the config."""

from collections.abc import Callable
from typing import Any


class Registry:
    """A mapping from the name of a class or function to the object."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    def register(self, obj: Any = None, force: bool = False) -> Callable | None:
        """Use as `@registry.register()` or `registry.register(obj)`.

        Raises `KeyError` if the name is taken and `force` is false.
        """
        if obj is not None:
            self._add(obj, force)
            return None

        def decorator(decorated: Any) -> Any:
            self._add(decorated, force)
            return decorated

        return decorator

    def _add(self, obj: Any, force: bool) -> None:
        name = obj.__name__
        if name in self._objects and not force:
            raise KeyError(
                f'An object named "{name}" was already registered in "{self._name}" registry'
            )
        self._objects[name] = obj

    def get(self, name: str) -> Any:
        if name not in self._objects:
            raise KeyError(f'Object name "{name}" does not exist in "{self._name}" registry')
        return self._objects[name]

    def registered_names(self) -> list[str]:
        return list(self._objects)
