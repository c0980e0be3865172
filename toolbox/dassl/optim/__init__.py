"""Optimizer and learning-rate schedule from `cfg.OPTIM`; every trainer builds both from here."""

from .lr_scheduler import build_lr_scheduler
from .optimizer import build_optimizer
