"""The trainer that `TRAINER.NAME` names, among those the host registered."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils.registry import Registry, build_registered

TRAINER_REGISTRY = Registry("TRAINER")


def build_trainer(cfg: CfgNode) -> Any:
    return build_registered(TRAINER_REGISTRY, cfg.TRAINER.NAME, cfg)
