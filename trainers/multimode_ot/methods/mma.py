"""MMA: bottlenecks beside the upper blocks of both towers, whose middle layer the two share.

L. Yang, R.-Y. Zhang, Y. Wang, X. Xie, "MMA: Multi-Modal Adapter for Vision-Language Models",
CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbone.additions import Additions, AtBlock
from ..backbone.clip import CLIP
from ..config import PRECISIONS, Check, Original, Setting, Settings
from .adapted import AdaptedTowers
from .base import settings_path


class Bottleneck(nn.Module):
    """A tower's own layers of an adapter, `up(shared(down(x)))`, around `rank` units."""

    def __init__(self, width: int, rank: int):
        super().__init__()
        self.down = nn.Sequential(layer(width, rank), nn.ReLU())
        self.up = layer(rank, width)


def layer(inputs: int, outputs: int) -> nn.Linear:
    """Weights N(0, 2 / outputs), biases 0."""
    made = nn.Linear(inputs, outputs)
    nn.init.normal_(made.weight, std=(2 / outputs) ** 0.5)
    nn.init.zeros_(made.bias)
    return made


class AdapterLearner(nn.Module):
    """Adapters by their numbers: `i` is that of block `i - 1`, 0 that of the input tokens."""

    def __init__(self, clip: CLIP, numbers: range, rank: int):
        super().__init__()
        self.text_adapter, self.visual_adapter = (
            nn.ModuleDict({str(i): Bottleneck(width, rank) for i in numbers})
            for width in (clip.text_width, clip.vision_width)
        )
        shared = {str(i): nn.Sequential(layer(rank, rank), nn.ReLU()) for i in numbers}
        self.shared_adapter = nn.ModuleDict(shared)

    def additions(self, own: nn.ModuleDict, layers: int, share: float) -> Additions:
        """Of one tower, given its adapters."""
        found = {
            int(i): partial(adapt, own=own[i], shared=shared, share=share)
            for i, shared in self.shared_adapter.items()
        }
        return Additions(tuple(AtBlock(found.get(i + 1)) for i in range(layers)), found.get(0))


def adapt(x: Tensor, own: Any, shared: nn.Module, share: float) -> Tensor:
    """`share` times an adapter's output for tokens `(..., w)`. Its parameters get the gradient of a
    share of 1; `x` gets its own."""
    x = _ScaledGradient.apply(x.to(own.up.weight.dtype), 1.0, share)
    return _ScaledGradient.apply(own.up(shared(own.down(x))), share, 1.0)


class _ScaledGradient(torch.autograd.Function):
    """A factor on the way forward, another one on the way back."""

    @staticmethod
    def forward(ctx, x, forth, back):
        ctx.back = back
        return x * forth

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.back, None, None


class MMA(AdaptedTowers):
    """Bottlenecks beside the blocks of both towers, with a middle layer in common."""

    name = "MMA"
    trains = "bottlenecks beside the blocks of both towers"
    settings: ClassVar[Settings] = {
        "PREC": Setting("amp", "how the frozen towers compute", one_of=PRECISIONS),
        "TEXT_CTX_INIT": Setting("", "fixed words in front of the class names"),
        "ADAPTER_START": Setting(4, "the first adapter; 0: the inputs'", least=0, layers_left=0),
        "ADAPTER_END": Setting(12, "the last adapter; 12: block 11's", least=0, layers_left=0),
        "ADAPTER_DIM": Setting(32, "width of an adapter's middle layer", least=1),
        "ADAPTER_SCALE": Setting(0.1, "share of an adapter in its block's output", above=0),
    }
    originals: ClassVar[Mapping[str, Original]] = {
        f"TRAINER.MMADAPTER.{key}": Original(key) for key in settings
    }
    checkpoint_name = "adapter_learner"
    prompt_learner: AdapterLearner

    @classmethod
    def check_settings(cls, check: Check) -> None:
        super().check_settings(check)
        check.at_most("ADAPTER_START", check.settings.ADAPTER_END, "that is ADAPTER_END")

    def build_prompt_learner(self) -> AdapterLearner:
        s, clip = self.cfg, self.clip
        self.check_depth("ADAPTER_END", text=True, vision=True)
        width, check = min(clip.text_width, clip.vision_width), Check(s, settings_path(self.name))
        check.at_most("ADAPTER_DIM", width, f"the narrower tower of {clip.name} is so wide")
        return AdapterLearner(clip, range(s.ADAPTER_START, s.ADAPTER_END + 1), s.ADAPTER_DIM)

    @property
    def words(self) -> str:
        return self.cfg.TEXT_CTX_INIT.replace("_", " ")

    def additions(self) -> tuple[Additions, Additions]:
        own, clip, share = self.prompt_learner, self.clip, self.cfg.ADAPTER_SCALE
        text = own.additions(own.text_adapter, clip.text_layers, share)
        return text, own.additions(own.visual_adapter, clip.vision_layers, share)
