"""Named registries: trainers, data sets and evaluators are found by class name in the config."""

from typing import Any

from yacs.config import CfgNode

from .tools import check_availability


class Registry:
    """A mapping from the name of a class or function to the object."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    def register(self, obj: Any = None, force: bool = False) -> Any:
        """Use as `@registry.register()` or `registry.register(obj)`.

        Raises `KeyError` if the name is taken and `force` is false.
        """
        if obj is None:
            return lambda decorated: self.register(decorated, force) or decorated
        name = obj.__name__
        if name in self._objects and not force:
            raise KeyError(
                f'An object named "{name}" was already registered in "{self._name}" registry'
            )
        self._objects[name] = obj
        return None

    def get(self, name: str) -> Any:
        if name not in self._objects:
            raise KeyError(f'Object name "{name}" does not exist in "{self._name}" registry')
        return self._objects[name]

    def registered_names(self) -> list[str]:
        return list(self._objects)


def build_registered(registry: Registry, name: str, cfg: CfgNode, **kwargs: Any) -> Any:
    """Call the object of that name; `ValueError` with the nearest name if there is none."""
    check_availability(name, registry.registered_names())
    if cfg.VERBOSE:
        print(f"Loading {registry._name.lower()}: {name}")
    return registry.get(name)(cfg, **kwargs)
