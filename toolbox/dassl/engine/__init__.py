"""The trainer classes hosts derive from, and the registry that finds theirs by name."""

from .build import TRAINER_REGISTRY, build_trainer
from .trainer import SimpleTrainer, TrainerBase, TrainerX
