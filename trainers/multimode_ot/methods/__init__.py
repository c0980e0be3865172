"""One file a method; importing this package makes `build_model` know them all.

No trainer is registered here: `multimode_ot.trainer` and `multimode_ot.baselines` do that.
"""

from . import cocoop, coop, ivlp, maple, multimode, plot, vpt, zeroshot

__all__ = ["cocoop", "coop", "ivlp", "maple", "multimode", "plot", "vpt", "zeroshot"]
