"""Default configuration: `train.py` starts from it and merges YAML files and options into it."""

from yacs.config import CfgNode

from .defaults import _C as cfg_default


def get_cfg_default() -> CfgNode:
    """A fresh, unfrozen copy of the default configuration."""
    return cfg_default.clone()


def clean_cfg(cfg: CfgNode, trainer: str) -> None:
    """Remove the options of every other trainer from `cfg.TRAINER`."""
    for key in [k for k in cfg.TRAINER if k not in ("NAME", trainer.upper())]:
        cfg.TRAINER.pop(key)
