"""The optimizer a trainer asks for with `build_optimizer(self.model, cfg.OPTIM)`."""

import warnings
from collections.abc import Iterable

import torch
from torch import nn
from yacs.config import CfgNode

from dassl.utils.torchtools import unwrap

AVAI_OPTIMS = ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]


def build_optimizer(
    model: nn.Module | Iterable, optim_cfg: CfgNode, param_groups: Iterable | None = None
) -> torch.optim.Optimizer:
    """The optimizer named by `optim_cfg.NAME`.

    A module hands in all its parameters, frozen ones too: the state in checkpoints counts them.

    Raises:
        ValueError: unknown name.
        TypeError: `STAGED_LR` without a module.
    """
    cfg = optim_cfg
    if cfg.NAME not in AVAI_OPTIMS:
        raise ValueError(f"optim must be one of {AVAI_OPTIMS}, but got {cfg.NAME}")
    if param_groups is not None:
        if cfg.STAGED_LR:
            warnings.warn("OPTIM.STAGED_LR is ignored, as param_groups is given", stacklevel=2)
        parameters = param_groups
    elif cfg.STAGED_LR:
        parameters = _staged_groups(model, cfg)
    else:
        parameters = model.parameters() if isinstance(model, nn.Module) else model

    sgd = {"dampening": cfg.SGD_DAMPNING, "nesterov": cfg.SGD_NESTEROV}
    betas = {"betas": (cfg.ADAM_BETA1, cfg.ADAM_BETA2)}
    kind, options = {
        "adam": (torch.optim.Adam, betas),
        "amsgrad": (torch.optim.Adam, {**betas, "amsgrad": True}),
        "adamw": (torch.optim.AdamW, betas),
        "radam": (torch.optim.RAdam, {**betas, "decoupled_weight_decay": True}),
        "rmsprop": (
            torch.optim.RMSprop,
            {"momentum": cfg.MOMENTUM, "alpha": cfg.RMSPROP_ALPHA},
        ),
        "sgd": (torch.optim.SGD, {**sgd, "momentum": cfg.MOMENTUM}),
    }[cfg.NAME]
    return kind(parameters, lr=cfg.LR, weight_decay=cfg.WEIGHT_DECAY, **options)


def _staged_groups(model: nn.Module | Iterable, cfg: CfgNode) -> list[dict]:
    """Children named in `NEW_LAYERS` at the full learning rate, the others at a fraction."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"OPTIM.STAGED_LR needs a module to take layers from, but got {type(model).__name__}"
        )
    names = cfg.NEW_LAYERS
    new_layers = [names] if isinstance(names, str) else names
    base, new = [], []
    for name, child in unwrap(model).named_children():
        (new if name in new_layers else base).extend(child.parameters())
    return [{"params": base, "lr": cfg.LR * cfg.BASE_LR_MULT}, {"params": new}]
