"""Samplers that `DATALOADER.*.SAMPLER` names: torch's own, on its global generator."""

from typing import Any

from torch.utils.data.sampler import RandomSampler, Sampler, SequentialSampler
from yacs.config import CfgNode

SAMPLERS = {"RandomSampler": RandomSampler, "SequentialSampler": SequentialSampler}


def build_sampler(
    sampler_type: str,
    cfg: CfgNode | None = None,
    data_source: Any = None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
) -> Sampler:
    """The sampler of that name; `ValueError` for an unknown one."""
    if sampler_type not in SAMPLERS:
        raise ValueError(f"Unknown sampler type: {sampler_type}. There are {list(SAMPLERS)}")
    return SAMPLERS[sampler_type](data_source)
