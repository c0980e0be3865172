"""The evaluator that `TEST.EVALUATOR` names; hosts register their own beside it."""

from typing import Any

from yacs.config import CfgNode

from dassl.utils.registry import Registry, build_registered

EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg: CfgNode, **kwargs: Any) -> Any:
    return build_registered(EVALUATOR_REGISTRY, cfg.TEST.EVALUATOR, cfg, **kwargs)
