"""What `PREC` means on a device. Prompts and transport are float32 under every setting."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """How the frozen towers compute.

    Attributes:
        weights: dtype of the frozen weights in matrix products.
        autocast: dtype of autocast in training, or None. Evaluation never autocasts.
        scale_loss: whether gradients need a loss scale (half precision has a small range).
    """

    weights: torch.dtype = torch.float32
    autocast: torch.dtype | None = None
    scale_loss: bool = False

    def training_context(self, device: torch.device) -> AbstractContextManager:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast)


_warned: set[str] = set()


def resolve_precision(name: str, device: torch.device | str) -> Precision:
    """`fp32`; `fp16` and `bf16`: frozen weights in that dtype; `amp`: autocast while training, to
    float16 on CUDA and bfloat16 elsewhere.

    `fp16` without CUDA is float32, said once.
    """
    cuda = torch.device(device).type == "cuda"
    if name == "fp16" and not cuda:
        if name not in _warned:
            warnings.warn(
                "PREC fp16 needs CUDA; computing in fp32 on the CPU (PREC bf16 or amp are the "
                "low-precision settings that run there)",
                stacklevel=2,
            )
            _warned.add(name)
        name = "fp32"
    return {
        "fp32": Precision(),
        "fp16": Precision(weights=torch.float16, scale_loss=True),
        "bf16": Precision(weights=torch.bfloat16),
        "amp": Precision(
            autocast=torch.float16 if cuda else torch.bfloat16,
            scale_loss=cuda,
        ),
    }[name]
