"""Running values of what a trainer reports per batch, as the epoch lines print them."""

from collections import defaultdict

import torch


class AverageMeter:
    """Last value and average: plain, or with `ema` exponential with factor 0.9 from 0."""

    def __init__(self, ema: bool = False) -> None:
        self.ema = ema
        self.reset()

    def reset(self) -> None:
        self.val = self.avg = self.sum = 0.0
        self.count = 0

    def update(self, val: float | torch.Tensor, n: int = 1) -> None:
        self.val = val.item() if isinstance(val, torch.Tensor) else val
        self.sum += self.val * n
        self.count += n
        self.avg = 0.9 * self.avg + 0.1 * self.val if self.ema else self.sum / self.count


class MetricMeter:
    """One `AverageMeter` a name, in the order the names were first seen."""

    def __init__(self, delimiter: str = " ") -> None:
        self.meters: defaultdict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict: dict[str, float | torch.Tensor] | None) -> None:
        if input_dict is None:
            return
        if not isinstance(input_dict, dict):
            raise TypeError("Input to MetricMeter.update() must be a dictionary")
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self) -> str:
        parts = (f"{name} {m.val:.4f} ({m.avg:.4f})" for name, m in self.meters.items())
        return self.delimiter.join(parts)
