"""Small networks behind a tower."""

from __future__ import annotations

from torch import Tensor, nn

from ..backbone.encoders import normalised


class Adapter(nn.Module):
    """A bottleneck without biases; its share `a` of unit vectors `(..., d)` makes new ones.

    It is homogeneous, so that it says the same of features before they are normalised.
    """

    def __init__(self, width: int):
        super().__init__()
        down, up = (nn.Linear(width, width // 4, False), nn.Linear(width // 4, width, False))
        self.fc = nn.Sequential(down, nn.ReLU(), up, nn.ReLU())

    def forward(self, features: Tensor, a: float) -> Tensor:
        return normalised(a * self.fc(features) + (1 - a) * features)
