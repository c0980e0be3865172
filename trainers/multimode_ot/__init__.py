"""Multi-mode token-level prompt alignment, and the methods to compare it with, for Dassl hosts.

`import multimode_ot` registers the trainers `MultiModeOT` and `ALIGN` where a Dassl can be
imported, and works as a library without one.
"""

import importlib
import importlib.util
import warnings
from importlib.metadata import version

from .backbone import CLIP, load_clip
from .config import extend_cfg
from .factory import build_model
from .model import LoadReport, PromptedCLIP
from .sources import available_backbones

__version__ = version("multimode-ot")

__all__ = [
    "CLIP",
    "LoadReport",
    "PromptedCLIP",
    "available_backbones",
    "build_model",
    "extend_cfg",
    "load_clip",
]

if importlib.util.find_spec("dassl") is not None:
    try:
        importlib.import_module("dassl.engine")
    except ImportError as error:
        # The original Dassl cannot be imported without packages that few people have.
        warnings.warn(
            f"no trainer is registered: the installed Dassl cannot be imported ({error})",
            stacklevel=2,
        )
    else:
        from . import trainer as trainer
