"""Names that are imported when they are first asked for (PEP 562): all else starts at once."""

import sys
from importlib import import_module
from typing import Any


def import_on_demand(name: str, **origins: str) -> None:
    """Give a module further names, which are those of modules in the same package.

    To be called last in the module. Type checkers do not see it: the module also imports the names
    under `TYPE_CHECKING`.

    Args:
        name: the module's `__name__`.
        origins: by name of the module they are from, the names separated by spaces. That module is
            a name of its own.
    """
    module = sys.modules[name]
    found_in = {one: origin for origin, names in origins.items() for one in names.split()}

    def __getattr__(attribute: str) -> Any:
        if attribute in found_in:
            value = getattr(import_module(f".{found_in[attribute]}", module.__package__), attribute)
        elif attribute in origins:
            value = import_module(f".{attribute}", module.__package__)
        else:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        setattr(module, attribute, value)  # found without this function from now on
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(module), *found_in, *origins})

    module.__getattr__, module.__dir__ = __getattr__, __dir__
    module.__all__ = [one for one in __dir__() if not one.startswith("_")]
