"""The Dassl trainers of this package's own method."""

from dassl.engine import TRAINER_REGISTRY

from .engine import PromptTrainer
from .methods import multimode


@TRAINER_REGISTRY.register()
class MultiModeOT(PromptTrainer):
    """Multi-mode token-level prompt alignment; settings in `TRAINER.MULTIMODEOT`."""

    method = multimode.MultiModeOT


@TRAINER_REGISTRY.register()
class ALIGN(PromptTrainer):
    """The paper's preset of it; settings in `TRAINER.ALIGN`."""

    method = multimode.ALIGN
