"""One file a method; importing this package makes `build_model` know them all.

No trainer is registered here: `multimode_ot.trainer` and `multimode_ot.baselines` do that.
"""

from . import multimode, zeroshot

__all__ = ["multimode", "zeroshot"]
