"""Multi-mode token-level prompt alignment, and the methods to compare it with, for Dassl hosts.

A library without any Dassl; beside one, `import multimode_ot` and `extend_cfg(cfg)` register the
trainers `MultiModeOT` and `ALIGN`. Nothing heavy is imported before it is needed.
"""

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

# The public names, and the modules that they are in.
_PLACES = {
    "CLIP": "backbone.clip",
    "Classifier": "classifier.estimator",
    "LearnedContext": "methods.single_mode",
    "LoadReport": "methods.loading",
    "PromptedCLIP": "methods.base",
    "Seen": "regularisers",
    "Setting": "config",
    "SingleMode": "methods.single_mode",
    "add_method_file": "methods",
    "available_backbones": "backbone.names",
    "build_model": "methods.build",
    "extend_cfg": "training.registration",
    "load_clip": "backbone.loading",
    "method_names": "methods",
    "register": "training.registration",
}

__all__ = sorted([*_PLACES, "__version__", "transport"])


def __getattr__(name: str) -> Any:
    if name == "transport":
        return importlib.import_module(f"{__name__}.transport")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "dassl.engine" in sys.modules:
    from .training.registration import OWN, register

    register(OWN)
