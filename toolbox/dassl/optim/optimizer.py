"""The optimizer a trainer asks for with `build_optimizer(self.model, cfg.OPTIM)`."""

import warnings
from collections.abc import Iterable

import torch
from torch import nn
from yacs.config import CfgNode

AVAI_OPTIMS = ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]


def build_optimizer(
    model: nn.Module | Iterable,
    optim_cfg: CfgNode,
    param_groups: Iterable | None = None,
) -> torch.optim.Optimizer:
    """The optimizer named by `optim_cfg.NAME`.

    A module hands in all its parameters, frozen ones too: the state in checkpoints counts them.

    Raises:
        ValueError: unknown name.
        TypeError: `STAGED_LR` without a module.
    """
    if optim_cfg.NAME not in AVAI_OPTIMS:
        raise ValueError(f"optim must be one of {AVAI_OPTIMS}, but got {optim_cfg.NAME}")
    if param_groups is not None:
        if optim_cfg.STAGED_LR:
            warnings.warn("OPTIM.STAGED_LR is ignored, as param_groups is given", stacklevel=2)
        parameters = param_groups
    elif optim_cfg.STAGED_LR:
        parameters = _staged_groups(model, optim_cfg)
    else:
        parameters = model.parameters() if isinstance(model, nn.Module) else model

    common = {"lr": optim_cfg.LR, "weight_decay": optim_cfg.WEIGHT_DECAY}
    betas = (optim_cfg.ADAM_BETA1, optim_cfg.ADAM_BETA2)
    match optim_cfg.NAME:
        case "adam":
            return torch.optim.Adam(parameters, betas=betas, **common)
        case "amsgrad":
            return torch.optim.Adam(parameters, betas=betas, amsgrad=True, **common)
        case "adamw":
            return torch.optim.AdamW(parameters, betas=betas, **common)
        case "radam":
            return torch.optim.RAdam(parameters, betas=betas, decoupled_weight_decay=True, **common)
        case "rmsprop":
            return torch.optim.RMSprop(
                parameters, momentum=optim_cfg.MOMENTUM, alpha=optim_cfg.RMSPROP_ALPHA, **common
            )
        case _:
            return torch.optim.SGD(
                parameters,
                momentum=optim_cfg.MOMENTUM,
                dampening=optim_cfg.SGD_DAMPNING,
                nesterov=optim_cfg.SGD_NESTEROV,
                **common,
            )


def _staged_groups(model: nn.Module | Iterable, optim_cfg: CfgNode) -> list[dict]:
    """Children named in `NEW_LAYERS` at the full learning rate, the others at a fraction."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"OPTIM.STAGED_LR needs a module to take layers from, but got {type(model).__name__}"
        )
    if isinstance(model, nn.DataParallel):
        model = model.module
    names = optim_cfg.NEW_LAYERS
    new_layers = [names] if isinstance(names, str) else list(names)
    base, new = [], []
    for name, child in model.named_children():
        (new if name in new_layers else base).extend(child.parameters())
    return [
        {"params": base, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT},
        {"params": new},
    ]
