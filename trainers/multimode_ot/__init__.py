"""Multi-mode token-level prompt alignment, and the methods to compare it with, for Dassl hosts.

`import multimode_ot` registers the trainers `MultiModeOT` and `ALIGN` where a Dassl can be
imported, and works as a library without one.
"""

import importlib.util

from .backbone import CLIP, available_backbones, load_clip
from .config import extend_cfg
from .model import LoadReport, PromptedCLIP, build_model

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
    from . import trainer as trainer
